// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Testing

@Suite("What a shard knows of a target")
struct TargetFeedTests {
    private let topic: Target

    init() throws {
        topic = try .topic("a")
    }

    @Test("what is published to everybody, or to a client, has no end")
    func endless() throws {
        for target in [.all, try Target.client("ann")] {
            var feed = TargetFeed(of: target)
            let change = feed.receive(try Self.batch([(5, true)]).groups[0])
            #expect(change == nil && feed.end == .unknown)
        }
    }

    private static func batch(_ events: [(id: UInt64?, ends: Bool)], clock: UInt64 = 0) throws -> Batch {
        var builder = BatchBuilder()
        builder.raise(clock: EventID(clock, 0))
        for event in events { builder.add(event.id.map { EventID($0, 0) }, to: 1, ends: event.ends) }
        return try builder.take()
    }

    @Test("the end that the feed tells is newer than a log's marker, and a late event may tell it")
    func ends() throws {
        var feed = TargetFeed(of: topic)
        #expect(feed.end == .unknown)
        var change = feed.receive(try Self.batch([(5, true), (6, false)]).groups[0])
        #expect(change == nil && feed.end == .open)
        change = feed.learn(LogMarker(id: EventID(5, 0), ends: true))
        #expect(change == nil && feed.end == .open)
        change = feed.receive(try Self.batch([(7, true), (nil, false)], clock: 9).groups[0])
        #expect(change == true && feed.end == .ended(EventID(7, 0)))
        change = feed.end(by: EventID(8, 0))
        #expect(change == nil && feed.end == .ended(EventID(8, 0)))
        change = feed.receive(try Self.batch([(9, false)]).groups[0])
        #expect(change == false && feed.end == .open)
    }

    @Test("the ring has let go of what no log tells: live-only events, and late ones from before what a stream has had")
    func dropped() throws {
        for (events, clock, lost) in [
            ([(nil, false)], 0, true), ([(5, false)], 0, false), ([(5, false)], 9, true), ([(7, false)], 9, false),
        ] as [([(UInt64?, Bool)], UInt64, Bool)] {
            var feed = TargetFeed(of: topic)
            let batch = try Self.batch(events.map { (id: $0.0, ends: $0.1) }, clock: clock)
            feed.drop(batch.groups[0], of: batch)
            let lacks = { (lowest: EventID, _: EventID) in lowest <= EventID(6, 0) }
            #expect(feed.isLost(from: 0, lacks: lacks) == lost)
            #expect(!feed.isLost(from: 1, lacks: lacks), "the stream was past it")
        }
    }

    @Test("of late events only those behind a stream's place count, and those of long ago are kept as one")
    func lateEvents() throws {
        var feed = TargetFeed(of: topic)
        var builder = BatchBuilder()
        builder.raise(clock: EventID(100, 0))
        for id in 1...40 {
            builder.add(EventID(UInt64(id), 0), to: 1)
            let batch = try builder.take()
            feed.drop(batch.groups[0], of: batch)
        }
        var asked: [String] = []
        for position: UInt64 in [0, 24, 38] {
            let isLost = feed.isLost(from: position) { lowest, highest in
                asked.append("\(lowest.milliseconds)-\(highest.milliseconds)")
                return false
            }
            #expect(!isLost)
        }
        let single = (26...40).map { "\($0)-\($0)" }
        #expect(asked == ["1-25"] + single + ["1-25"] + single + ["39-39", "40-40"])
    }
}
