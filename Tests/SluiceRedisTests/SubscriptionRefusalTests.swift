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

    @Test("of every name ends, and leaves the feed settled")
    func all() {
        let names = (0..<600).map { "c\($0)" }
        let result = play(names, forbidden: Set(names))
        #expect(result.subscribed.isEmpty && result.refused == Set(names) && result.isSettled)
    }
}
