// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import SluiceGateway
import Testing

@Suite("Whether a node is ready")
struct NodeStatusTests {
    private static func at(_ seconds: UInt64) -> NIODeadline { .uptimeNanoseconds(seconds * 1_000_000_000) }

    @Test("not before the feed has been up once, however often it goes down before")
    func neverUp() {
        let status = NodeStatus()
        #expect(status.problem(now: Self.at(1)) == "no feed from the broker" && status.feeds.isEmpty)
        status.feedIsDown(now: Self.at(2))
        #expect(status.problem(now: Self.at(2)) == "no feed from the broker")
        status.feedIsUp()
        #expect(status.problem(now: Self.at(3)) == nil && status.feeds == PartitionSet(.first))
    }

    @Test("for five seconds without a feed, which count from when it first went down")
    func grace() {
        let status = NodeStatus()
        status.feedIsUp()
        status.feedIsDown(now: Self.at(10))
        status.feedIsDown(now: Self.at(14))
        #expect(status.problem(now: Self.at(14)) == nil)
        #expect(status.problem(now: Self.at(15)) == "no feed from the broker")
        status.feedIsUp()
        #expect(status.problem(now: Self.at(15)) == nil)
    }

    @Test("for ever, once it has had a feed, to who forgives an outage; but not before, and not while it drains")
    func forgiven() {
        let status = NodeStatus()
        #expect(status.problem(now: Self.at(1), forgivesOutage: true) == "no feed from the broker")
        status.feedIsUp()
        status.feedIsDown(now: Self.at(10))
        #expect(status.problem(now: Self.at(1000)) == "no feed from the broker")
        #expect(status.problem(now: Self.at(1000), forgivesOutage: true) == nil)
        status.beginDrain()
        #expect(status.problem(now: Self.at(1000), forgivesOutage: true) == "draining")
    }

    @Test("not while it drains")
    func drains() {
        let status = NodeStatus()
        status.feedIsUp()
        status.beginDrain()
        #expect(status.problem(now: Self.at(1)) == "draining")
    }
}
