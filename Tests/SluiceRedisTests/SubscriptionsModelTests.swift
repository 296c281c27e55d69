// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceRedis
import TestSupport
import Testing

/// A Redis of the simplest kind: it carries out commands in order and answers each name once.
private struct ModelRedis {
    enum Reply: Equatable {
        case subscribed(String)
        case unsubscribed(String)
    }

    var channels: Set<[UInt8]> = []
    var replies: [Reply] = []

    mutating func receive(_ command: Subscriptions.Command) {
        switch command {
        case .subscribe(let names):
            for name in names {
                let isNew = channels.insert(Array(name.utf8)).inserted
                #expect(isNew, "\(name) is subscribed twice")
                replies.append(.subscribed(name))
            }
        case .unsubscribe(let names):
            for name in names {
                let isThere = channels.remove(Array(name.utf8)) != nil
                #expect(isThere, "\(name) is unsubscribed without need")
                replies.append(.unsubscribed(name))
            }
        }
    }
}

private struct SubscriptionsModel {
    static let names = (0..<24).map { "n\($0)" } + ["caf\u{E9}", "cafe\u{301}"]
    static let linger = TimeAmount.seconds(5)

    var generator: SeededGenerator
    var subscriptions = Subscriptions(linger: linger)
    var redis: ModelRedis?
    var now = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
    var wanted: Set<[UInt8]> = []
    /// What the node believes: it was told, or it asked and heard that it is so.
    var confirmed: Set<[UInt8]> = []
    var known: Set<[UInt8]> = []
    /// Until when Redis is to send nothing of them.
    var paused: [[UInt8]: NIODeadline] = [:]
    var wakes = 0
    var pauses = 0

    mutating func want() {
        guard let name = SubscriptionsModel.names.randomElement(using: &generator) else { return }
        let key = Array(name.utf8)
        let isConfirmed = subscriptions.want(name)
        wanted.insert(key)
        known.insert(key)
        if isConfirmed {
            let isPaused = paused[key] != nil
            #expect(redis?.channels.contains(key) == true || isPaused, "\(name) is said to be confirmed")
            confirmed.insert(key)
        } else {
            // A pause ends with a new confirmation.
            #expect(!confirmed.contains(key) || paused[key] != nil, "\(name) had been confirmed")
            confirmed.remove(key)
        }
    }

    mutating func release() {
        guard let key = wanted.randomElement(using: &generator) else { return }
        subscriptions.release(String(decoding: key, as: UTF8.self), now: now)
        wanted.remove(key)
        takeGone()
    }

    /// Only what Redis sends can be too much.
    mutating func pause() {
        guard let key = redis?.channels.intersection(confirmed).randomElement(using: &generator), paused[key] == nil
        else { return }
        let until = now + .seconds(Int64.random(in: 0...20, using: &generator))
        subscriptions.pause(String(decoding: key, as: UTF8.self), until: until)
        paused[key] = until
        pauses += 1
    }

    mutating func takeGone() {
        for name in subscriptions.takeGone() {
            let key = Array(name.utf8)
            #expect(!wanted.contains(key), "\(name) is gone though it is wanted")
            #expect(redis?.channels.contains(key) != true, "\(name) is gone though Redis sends it")
            #expect(known.contains(key), "\(name) is gone twice")
            known.remove(key)
            confirmed.remove(key)
            paused[key] = nil
        }
    }

    mutating func send() {
        while let command = subscriptions.next(now: now) {
            #expect(redis != nil, "sent without a connection")
            redis?.receive(command)
            switch command {
            case .unsubscribe(let names): confirmed.subtract(names.map { Array($0.utf8) })
            case .subscribe(let names):
                for key in names.map({ Array($0.utf8) }) {
                    #expect(paused[key].map { $0 <= now } ?? true, "subscribed before its pause is over")
                }
            }
        }
        takeGone()
    }

    mutating func answer() {
        guard let reply = redis?.replies.first else { return }
        redis?.replies.removeFirst()
        switch reply {
        case .subscribed(let name):
            let key = Array(name.utf8)
            let isAwaited = subscriptions.subscribed(name, now: now)
            #expect(isAwaited == wanted.contains(key))
            if isAwaited { confirmed.insert(key) }
            paused[key] = nil
            wakes += 1
        case .unsubscribed(let name):
            subscriptions.unsubscribed(name)
            confirmed.remove(Array(name.utf8))
        }
        takeGone()
    }

    mutating func toggleConnection() {
        if redis == nil {
            redis = ModelRedis()
            subscriptions.connected()
        } else {
            redis = nil
            confirmed = []
            subscriptions.disconnected()
        }
        takeGone()
    }

    mutating func step() {
        switch Int.random(in: 0..<20, using: &generator) {
        case 0..<5: want()
        case 5..<9: release()
        case 9..<12: send()
        case 12..<17: answer()
        case 17: pause()
        case 18: now = now + .milliseconds(Int64.random(in: 0...3000, using: &generator))
        default: if Int.random(in: 0..<4, using: &generator) == 0 { toggleConnection() }
        }
    }

    mutating func settle() {
        repeat {
            send()
            while redis?.replies.isEmpty == false { answer() }
            send()
        } while redis?.replies.isEmpty == false
    }
}

@Suite("Subscriptions against a model of Redis")
struct SubscriptionsModelTests {
    @Test(
        "after any sequence, once it is quiet, Redis has subscribed what is wanted, what lingers besides, nothing after the linger, and nothing of what is paused",
        arguments: 0..<60 as Range<UInt64>)
    func converges(_ seed: UInt64) {
        var model = SubscriptionsModel(generator: SeededGenerator(seed: seed))
        for _ in 0..<20 {
            for _ in 0..<100 { model.step() }
            if model.redis == nil { model.toggleConnection() }
            model.settle()
            #expect(model.subscriptions.isSettled)
            let channels = model.redis?.channels ?? []
            let paused = Set(model.paused.keys)
            #expect(channels.isSuperset(of: model.wanted.subtracting(paused)))
            #expect(channels.isDisjoint(with: paused), "what is paused still comes")
            #expect(channels.union(paused) == model.known, "what is neither wanted nor lingers is gone")
            #expect(model.confirmed.union(paused).isSuperset(of: model.wanted), "somebody waits for ever")
        }
        model.now = model.now + SubscriptionsModel.linger + .seconds(30)
        model.settle()
        #expect(model.redis?.channels == model.wanted)
        #expect(model.known == model.wanted)
        #expect(model.wakes > 50)
        #expect(model.pauses > 5)
    }
}
