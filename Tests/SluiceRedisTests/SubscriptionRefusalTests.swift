// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceRedis
import TestSupport
import Testing

/// Redis refuses a `SUBSCRIBE` as a whole if the user may not have one of its channels.
@Suite("A refused subscription")
struct SubscriptionRefusalTests {
    /// Plays a Redis that refuses some names; returns what it has subscribed and what was reported as refused.
    private func play(
        _ names: [String], forbidden: Set<String>
    ) -> (subscribed: Set<String>, refused: Set<String>, commands: Int, isSettled: Bool) {
        let now = NIODeadline.uptimeNanoseconds(1)
        var subscriptions = Subscriptions(linger: .seconds(5))
        subscriptions.connected()
        for name in names { _ = subscriptions.want(name) }
        var subscribed: Set<String> = []
        var refused: Set<String> = []
        var sent: [Subscriptions.Command] = []
        var commands = 0
        for _ in 0..<10_000 {
            while let command = subscriptions.next(now: now) { sent.append(command) }
            guard !sent.isEmpty else { break }
            commands += 1
            guard case .subscribe(let names) = sent.removeFirst() else { continue }
            if names.contains(where: forbidden.contains) {
                if let name = subscriptions.refused() { refused.insert(name) }
            } else {
                for name in names {
                    _ = subscriptions.subscribed(name, now: now)
                    subscribed.insert(name)
                }
            }
        }
        return (subscribed, refused, commands, subscriptions.isSettled)
    }

    @Test("does not make the node deaf to the other names of its command", arguments: [0, 1, 300, 511, 1200])
    func others(index: Int) {
        let names = (0..<1500).map { "c\($0)" }
        let forbidden: Set = ["c\(index)"]
        let result = play(names, forbidden: forbidden)
        #expect(result.subscribed == Set(names).subtracting(forbidden))
        #expect(result.refused == forbidden)
        #expect(result.isSettled)
        #expect(result.commands < 40, "halves, not one by one")
    }

    private let now = NIODeadline.uptimeNanoseconds(1)

    /// Has asked for these, and Redis has refused each.
    private func refused(_ names: [String]) -> Subscriptions {
        var subscriptions = Subscriptions(linger: .seconds(5))
        subscriptions.connected()
        for name in names {
            _ = subscriptions.want(name)
            while subscriptions.next(now: now) != nil { _ = subscriptions.refused() }
        }
        return subscriptions
    }

    @Test("is not asked for again, not on a new connection either, before it is known to be permitted")
    func permitted() {
        var subscriptions = refused(["a", "b", "c"])
        #expect(subscriptions.next(now: now) == nil && subscriptions.isSettled)
        subscriptions.disconnected()
        subscriptions.connected()
        #expect(subscriptions.next(now: now) == nil && subscriptions.isSettled)
        #expect(subscriptions.refusedCount == 3)
        subscriptions.permitted(["b", "unknown"])
        #expect(subscriptions.next(now: now) == .subscribe(["b"]))
        let isWaitedFor = subscriptions.subscribed("b", now: now)
        #expect(isWaitedFor, "a stream waits for it")
        #expect(subscriptions.refusedCount == 2 && subscriptions.next(now: now) == nil)
    }

    @Test("permitted while there is no connection, is asked for on the next one")
    func permittedWhileAway() {
        var subscriptions = refused(["a"])
        subscriptions.disconnected()
        subscriptions.permitted(["a"])
        #expect(subscriptions.next(now: now) == nil)
        subscriptions.connected()
        #expect(subscriptions.next(now: now) == .subscribe(["a"]))
    }

    @Test("is looked at in turn, with no more names at a time than asked for; one that nobody wants is forgotten")
    func turns() {
        let names = (0..<1000).map { "c\($0)" }
        var subscriptions = refused(names)
        var checked: [String] = []
        for _ in 0..<4 {
            let some = subscriptions.nextToCheck(max: 300)
            #expect(some.count <= 300)
            checked += some
        }
        #expect(checked.sorted() == names.sorted(), "each once in a round")
        for name in names.dropFirst() { subscriptions.release(name, now: now) }
        let gone = subscriptions.takeGone()
        #expect(gone.count == 999 && subscriptions.refusedCount == 1)
        let left = subscriptions.nextToCheck(max: 300)
        #expect(left == ["c0"])
    }

    @Test("that nobody waits for any more when it comes is forgotten")
    func refusedUnwanted() {
        var subscriptions = Subscriptions(linger: .seconds(5))
        subscriptions.connected()
        _ = subscriptions.want("a")
        _ = subscriptions.next(now: now)
        subscriptions.release("a", now: now)
        _ = subscriptions.refused()
        let gone = subscriptions.takeGone()
        #expect(gone == ["a"] && subscriptions.refusedCount == 0)
    }

    @Test("of every name ends, and leaves the feed settled")
    func all() {
        let names = (0..<600).map { "c\($0)" }
        let result = play(names, forbidden: Set(names))
        #expect(result.subscribed.isEmpty && result.refused == Set(names) && result.isSettled)
    }
}
