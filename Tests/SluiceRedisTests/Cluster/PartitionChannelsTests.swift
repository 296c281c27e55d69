// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceRedis
import Testing

@Suite("PartitionChannels")
struct PartitionChannelsTests {
    private static let now = NIODeadline.uptimeNanoseconds(0)

    /// Sends what is due, and returns the names.
    private static func sent(_ feed: inout PartitionChannels) -> Set<String> {
        var names: Set<String> = []
        while let command = feed.next(now: now) {
            if case .subscribe(let some) = command { names.formUnion(some) }
        }
        return names
    }

    private static func opened(wanting names: String...) -> PartitionChannels {
        var feed = PartitionChannels(anchor: "node", linger: .seconds(5))
        for name in names { #expect(feed.want(name) == false) }
        feed.open()
        let asked = sent(&feed)
        #expect(asked == Set(names + ["node"]))
        return feed
    }

    @Test("a channel that is confirmed counts only once its server was found to be master after that")
    func held() {
        var feed = PartitionChannelsTests.opened(wanting: "a", "b")
        #expect(feed.subscribed("a", now: PartitionChannelsTests.now) == false)
        #expect(feed.isMaster() == [], "nothing was asked yet")
        #expect(feed.phase == .open)
        _ = feed.subscribed("node", now: PartitionChannelsTests.now)
        #expect(feed.phase == .checking)
        #expect(feed.want("a") == false, "it is confirmed, but by whom?")
        #expect(Set(feed.isMaster()) == ["a", "node"])
        #expect(feed.settle() == false, "one is missing")
        #expect(feed.subscribed("b", now: PartitionChannelsTests.now) == true, "from now on at once")
        #expect(feed.settle() == true)
        #expect(feed.phase == .up)
        #expect(feed.want("a") == true)
        #expect(feed.settle() == false, "told once")
    }

    @Test("what was confirmed by a server that sends the partition away is asked for again, and told only then")
    func sentAway() {
        var feed = PartitionChannelsTests.opened(wanting: "a")
        _ = feed.subscribed("node", now: PartitionChannelsTests.now)
        _ = feed.subscribed("a", now: PartitionChannelsTests.now)
        let opening = feed.opening
        #expect(feed.close() == true)
        #expect(feed.close() == false)
        #expect(feed.isMaster() == [])
        #expect(feed.settle() == false)
        var names = PartitionChannelsTests.sent(&feed)
        #expect(names == [])
        feed.open()
        names = PartitionChannelsTests.sent(&feed)
        #expect(feed.opening != opening && names == ["a", "node"])
        _ = feed.subscribed("a", now: PartitionChannelsTests.now)
        _ = feed.subscribed("node", now: PartitionChannelsTests.now)
        #expect(Set(feed.isMaster()) == ["a", "node"])
        #expect(feed.settle() == true)
    }

    @Test("what a master can't carry out just now is asked for again after a while, and what it has confirmed stays")
    func postponed() {
        var feed = PartitionChannelsTests.opened()
        _ = feed.subscribed("node", now: PartitionChannelsTests.now)
        _ = feed.isMaster()
        #expect(feed.settle() == true)
        #expect(feed.want("a") == false)
        var names = PartitionChannelsTests.sent(&feed)
        #expect(names == ["a"])
        feed.postponed(until: PartitionChannelsTests.now + .seconds(1), now: PartitionChannelsTests.now)
        names = PartitionChannelsTests.sent(&feed)
        #expect(names == [] && feed.phase == .up)
        let later = PartitionChannelsTests.now + .seconds(1)
        let again = feed.next(now: later)
        #expect(again == .subscribe(["a"]))
        #expect(feed.subscribed("a", now: later) == true)
        feed.release("a", now: later)
        let end = later + .seconds(6)
        var command = feed.next(now: end)
        #expect(command == .unsubscribe(["a"]))
        feed.postponed(until: end, now: end)
        command = feed.next(now: end)
        #expect(command == .unsubscribe(["a"]))
        feed.unsubscribed("a")
        #expect(feed.takeGone() == ["a"])
    }
}
