// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceRedis
import Testing

/// A reference to the machine, so that an expectation can hold a call that changes it.
private final class Machine {
    private var subscriptions = Subscriptions(linger: .seconds(5))

    var isSettled: Bool { subscriptions.isSettled }

    func want(_ name: String) -> Bool { subscriptions.want(name) }
    func release(_ name: String, now: NIODeadline) { subscriptions.release(name, now: now) }
    func subscribed(_ name: String, now: NIODeadline) -> Bool { subscriptions.subscribed(name, now: now) }
    func unsubscribed(_ name: String) { subscriptions.unsubscribed(name) }
    func takeGone() -> [String] { subscriptions.takeGone() }
    func connected() { subscriptions.connected() }
    func disconnected() { subscriptions.disconnected() }
    func next(now: NIODeadline) -> Subscriptions.Command? { subscriptions.next(now: now) }
}

@Suite("Subscriptions")
struct SubscriptionsTests {
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
    private static func at(_ seconds: Int64) -> NIODeadline { start + .seconds(seconds) }

    private static func connected() -> Machine {
        let subscriptions = Machine()
        subscriptions.connected()
        return subscriptions
    }

    /// Wanted and confirmed.
    private static func subscribed(_ names: String...) -> Machine {
        let subscriptions = connected()
        for name in names { _ = subscriptions.want(name) }
        _ = subscriptions.next(now: start)
        for name in names { _ = subscriptions.subscribed(name, now: start) }
        return subscriptions
    }

    private static func next(_ subscriptions: Machine, at seconds: Int64 = 0) -> Subscriptions.Command? {
        subscriptions.next(now: at(seconds))
    }

    @Test("channels that are wanted together share a command, in the order in which they came")
    func batches() {
        let subscriptions = SubscriptionsTests.connected()
        for name in ["c", "a", "b"] {
            #expect(subscriptions.want(name) == false)
        }
        #expect(SubscriptionsTests.next(subscriptions) == .subscribe(["c", "a", "b"]))
        #expect(SubscriptionsTests.next(subscriptions) == nil)
    }

    @Test("a channel that is wanted twice is asked for once, and is known as confirmed once it is")
    func wantedTwice() {
        let subscriptions = SubscriptionsTests.connected()
        _ = subscriptions.want("a")
        #expect(subscriptions.want("a") == false)
        #expect(SubscriptionsTests.next(subscriptions) == .subscribe(["a"]))
        #expect(subscriptions.want("a") == false)
        #expect(subscriptions.subscribed("a", now: SubscriptionsTests.start) == true)
        #expect(subscriptions.want("a") == true)
        #expect(SubscriptionsTests.next(subscriptions) == nil)
    }

    @Test("nothing is sent before there is a connection")
    func disconnected() {
        let subscriptions = Machine()
        _ = subscriptions.want("a")
        #expect(SubscriptionsTests.next(subscriptions) == nil)
        #expect(!subscriptions.isSettled)
        subscriptions.connected()
        #expect(!subscriptions.isSettled)
        #expect(SubscriptionsTests.next(subscriptions) == .subscribe(["a"]))
        #expect(!subscriptions.isSettled)
        _ = subscriptions.subscribed("a", now: SubscriptionsTests.start)
        #expect(subscriptions.isSettled)
    }

    @Test("a connection with nothing wanted is settled at once")
    func settledWhenEmpty() {
        #expect(SubscriptionsTests.connected().isSettled)
    }

    @Test("a command has at most 512 names, and at most 2048 wait for their confirmation, however these come")
    func window() {
        let subscriptions = SubscriptionsTests.connected()
        let names = (0..<5000).map { "n\($0)" }
        for name in names { _ = subscriptions.want(name) }
        var sent: [String] = []
        var confirmed = 0
        while confirmed < names.count {
            while let command = SubscriptionsTests.next(subscriptions) {
                guard case .subscribe(let names) = command else {
                    Issue.record("\(command)")
                    return
                }
                #expect(names.count <= 512 && !names.isEmpty)
                sent += names
            }
            #expect(sent.count - confirmed <= 2048)
            guard confirmed < sent.count else {
                Issue.record("nothing more is sent")
                return
            }
            _ = subscriptions.subscribed(sent[confirmed], now: SubscriptionsTests.start)
            confirmed += 1
        }
        #expect(sent == names)
        #expect(subscriptions.isSettled)
    }

    // MARK: The life of a channel

    @Test("a channel that nobody wants stays for the linger, then is given up, and is gone once Redis says so")
    func linger() {
        let subscriptions = SubscriptionsTests.subscribed("a", "b")
        subscriptions.release("a", now: SubscriptionsTests.at(10))
        #expect(SubscriptionsTests.next(subscriptions, at: 14) == nil)
        #expect(SubscriptionsTests.next(subscriptions, at: 15) == .unsubscribe(["a"]))
        #expect(subscriptions.takeGone().isEmpty)
        #expect(!subscriptions.isSettled)
        subscriptions.unsubscribed("a")
        #expect(subscriptions.takeGone() == ["a"])
        #expect(subscriptions.takeGone().isEmpty)
        #expect(subscriptions.isSettled)
        #expect(SubscriptionsTests.next(subscriptions, at: 100) == nil)
    }

    @Test("wanted again within the linger: still confirmed, nothing is sent")
    func wantedWithinLinger() {
        let subscriptions = SubscriptionsTests.subscribed("a")
        subscriptions.release("a", now: SubscriptionsTests.at(0))
        #expect(subscriptions.want("a") == true)
        #expect(SubscriptionsTests.next(subscriptions, at: 100) == nil)
        subscriptions.release("a", now: SubscriptionsTests.at(100))
        #expect(SubscriptionsTests.next(subscriptions, at: 104) == nil, "the linger counts from the last release")
        #expect(SubscriptionsTests.next(subscriptions, at: 105) == .unsubscribe(["a"]))
    }

    @Test("released, wanted and released again within one linger: the later release counts")
    func releasedTwice() {
        let subscriptions = SubscriptionsTests.subscribed("a")
        subscriptions.release("a", now: SubscriptionsTests.at(0))
        _ = subscriptions.want("a")
        subscriptions.release("a", now: SubscriptionsTests.at(3))
        #expect(SubscriptionsTests.next(subscriptions, at: 5) == nil)
        #expect(SubscriptionsTests.next(subscriptions, at: 8) == .unsubscribe(["a"]))
        #expect(SubscriptionsTests.next(subscriptions, at: 100) == nil)
    }

    @Test("wanted again while unsubscribing: subscribed anew once Redis has confirmed the end")
    func wantedWhileUnsubscribing() {
        let subscriptions = SubscriptionsTests.subscribed("a")
        subscriptions.release("a", now: SubscriptionsTests.at(0))
        #expect(SubscriptionsTests.next(subscriptions, at: 5) == .unsubscribe(["a"]))
        #expect(subscriptions.want("a") == false)
        #expect(SubscriptionsTests.next(subscriptions, at: 5) == nil)
        subscriptions.unsubscribed("a")
        #expect(subscriptions.takeGone().isEmpty)
        #expect(SubscriptionsTests.next(subscriptions, at: 5) == .subscribe(["a"]))
        #expect(subscriptions.subscribed("a", now: SubscriptionsTests.at(5)) == true)
        #expect(subscriptions.want("a") == true)
    }

    @Test("wanted and released while unsubscribing: gone, without another subscription")
    func wantedAndReleasedWhileUnsubscribing() {
        let subscriptions = SubscriptionsTests.subscribed("a")
        subscriptions.release("a", now: SubscriptionsTests.at(0))
        _ = SubscriptionsTests.next(subscriptions, at: 5)
        _ = subscriptions.want("a")
        subscriptions.release("a", now: SubscriptionsTests.at(5))
        subscriptions.unsubscribed("a")
        #expect(subscriptions.takeGone() == ["a"])
        #expect(SubscriptionsTests.next(subscriptions, at: 100) == nil)
    }

    @Test("gone while subscribing: nobody waits for the confirmation, and the linger counts from it")
    func goneWhileSubscribing() {
        let subscriptions = SubscriptionsTests.connected()
        _ = subscriptions.want("a")
        _ = SubscriptionsTests.next(subscriptions)
        subscriptions.release("a", now: SubscriptionsTests.at(0))
        #expect(SubscriptionsTests.next(subscriptions, at: 100) == nil, "Redis has not confirmed yet")
        #expect(subscriptions.subscribed("a", now: SubscriptionsTests.at(100)) == false)
        #expect(SubscriptionsTests.next(subscriptions, at: 104) == nil)
        #expect(SubscriptionsTests.next(subscriptions, at: 105) == .unsubscribe(["a"]))
    }

    @Test("gone and wanted again while subscribing: somebody waits for the confirmation")
    func backWhileSubscribing() {
        let subscriptions = SubscriptionsTests.connected()
        _ = subscriptions.want("a")
        _ = SubscriptionsTests.next(subscriptions)
        subscriptions.release("a", now: SubscriptionsTests.at(0))
        #expect(subscriptions.want("a") == false)
        #expect(subscriptions.subscribed("a", now: SubscriptionsTests.at(1)) == true)
        #expect(SubscriptionsTests.next(subscriptions, at: 100) == nil)
    }

    @Test("gone before it was asked for: never asked for, and gone")
    func goneWhileQueued() {
        let subscriptions = SubscriptionsTests.connected()
        _ = subscriptions.want("a")
        _ = subscriptions.want("b")
        subscriptions.release("a", now: SubscriptionsTests.at(0))
        #expect(SubscriptionsTests.next(subscriptions) == .subscribe(["b"]))
        #expect(subscriptions.takeGone() == ["a"])
    }

    @Test("a release of what is unknown or not wanted changes nothing")
    func idleRelease() {
        let subscriptions = SubscriptionsTests.subscribed("a")
        subscriptions.release("b", now: SubscriptionsTests.at(0))
        subscriptions.release("a", now: SubscriptionsTests.at(0))
        subscriptions.release("a", now: SubscriptionsTests.at(4))
        #expect(subscriptions.takeGone().isEmpty)
        #expect(SubscriptionsTests.next(subscriptions, at: 5) == .unsubscribe(["a"]), "the first release counts")
    }

    @Test("confirmations that nobody asked for change nothing")
    func strayConfirmations() {
        let subscriptions = SubscriptionsTests.subscribed("a")
        #expect(subscriptions.subscribed("a", now: SubscriptionsTests.start) == false)
        #expect(subscriptions.subscribed("x", now: SubscriptionsTests.start) == false)
        subscriptions.unsubscribed("a")
        subscriptions.unsubscribed("x")
        #expect(subscriptions.takeGone().isEmpty)
        #expect(subscriptions.isSettled)
        #expect(subscriptions.want("a") == true)
    }

    // MARK: Connections

    @Test("a new connection asks for all that is wanted again, whatever had been confirmed")
    func reconnect() {
        let subscriptions = SubscriptionsTests.subscribed("a", "b", "lingering", "leaving")
        subscriptions.release("leaving", now: SubscriptionsTests.at(0))
        _ = SubscriptionsTests.next(subscriptions, at: 5)
        subscriptions.release("lingering", now: SubscriptionsTests.at(5))
        _ = subscriptions.want("queued")
        subscriptions.disconnected()
        #expect(!subscriptions.isSettled)
        #expect(subscriptions.want("a") == false)
        #expect(subscriptions.want("while away") == false)
        #expect(SubscriptionsTests.next(subscriptions, at: 6) == nil)
        subscriptions.connected()
        guard case .subscribe(let names) = SubscriptionsTests.next(subscriptions, at: 6) else {
            Issue.record("nothing is subscribed")
            return
        }
        #expect(names.sorted() == ["a", "b", "queued", "while away"])
        #expect(subscriptions.takeGone().sorted() == ["leaving", "lingering"])
        for name in names {
            #expect(subscriptions.subscribed(name, now: SubscriptionsTests.at(6)) == true)
        }
        #expect(subscriptions.isSettled)
        #expect(SubscriptionsTests.next(subscriptions, at: 100) == nil)
    }

    @Test("a confirmation from the connection before is not one of the new connection")
    func lateConfirmation() {
        let subscriptions = SubscriptionsTests.connected()
        _ = subscriptions.want("a")
        _ = SubscriptionsTests.next(subscriptions)
        subscriptions.disconnected()
        subscriptions.connected()
        #expect(subscriptions.subscribed("a", now: SubscriptionsTests.start) == false)
        #expect(SubscriptionsTests.next(subscriptions) == .subscribe(["a"]))
    }

    @Test("what is released while Redis is away is gone at once, and not asked for later")
    func releasedWhileAway() {
        let subscriptions = SubscriptionsTests.subscribed("a", "b")
        subscriptions.disconnected()
        subscriptions.release("a", now: SubscriptionsTests.at(0))
        #expect(subscriptions.takeGone() == ["a"])
        subscriptions.connected()
        #expect(SubscriptionsTests.next(subscriptions) == .subscribe(["b"]))
    }

    @Test("names that look the same but differ in bytes are different channels, as they are to Redis")
    func comparesBytes() {
        let subscriptions = SubscriptionsTests.subscribed("caf\u{E9}")
        #expect(subscriptions.want("cafe\u{301}") == false)
        guard case .subscribe(let names) = SubscriptionsTests.next(subscriptions) else {
            Issue.record("nothing is subscribed")
            return
        }
        #expect(names.map { Array($0.utf8) } == [Array("cafe\u{301}".utf8)])
    }
}
