// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import NIOHTTP1
import SluiceCore
import SluiceGateway
import TestSupport
import Testing

/// What one address can make a node ask its broker for, by counts.
@Suite("Topics by the ten thousand")
struct TopicRateTests {
    private let quotas = StreamQuotas(perAddress: 100_000, perClient: 0)
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    private func node(_ scripted: ScriptedNode, rate: Int, new: Int) -> Node {
        var settings = Settings()
        settings.topicRate = rate
        settings.newTopicRate = new
        settings.openRate = 1_000_000
        return Node(
            settings: settings, counters: scripted.counters, status: NodeStatus(),
            hub: Confined(scripted.hub, on: scripted.loop), streamsMax: 100_000, connectionsMax: 100_000,
            retry: RetryPolicy(base: .seconds(1), spread: .zero),
            streamQuotas: quotas, tokens: nil,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func request(_ topics: [String], _ extra: String = "") throws -> Subscription {
        let query = topics.map { "topic=\($0)" }.joined(separator: "&") + extra
        return try Subscription(query: Query(query, fieldsMax: .max), headers: HTTPHeaders(), topicsMax: 100)
    }

    /// - Returns: whether the stream was let in; then it is open.
    private func knock(
        _ scripted: ScriptedNode, _ node: Node, _ topics: [String], _ extra: String = "", from address: Int,
        at time: NIODeadline
    ) throws -> Bool {
        let request = try request(topics, extra)
        guard node.streams.admits(request, from: NetworkAddress(ipv4: UInt32(address)), on: scripted.shard, now: time)
        else {
            return false
        }
        _ = try scripted.open(topics.map { "topic=\($0)" }.joined(separator: "&") + extra)
        return true
    }

    @Test("The broker is asked for so many new names a second, whatever one address asks for; others are served")
    func names() throws {
        let scripted = ScriptedNode()
        let node = node(scripted, rate: 100_000, new: 200)
        let before = scripted.broker.numbers.count
        var next = 0
        var opened = 0
        for second in 0..<3 {
            for _ in 0..<100 {
                let topics = (0..<20).map { "t\(next + $0)" }
                next += 20
                let time = start + .seconds(Int64(second))
                if try knock(scripted, node, topics, from: 1, at: time) { opened += 1 }
            }
            #expect(scripted.broker.numbers.count - before == 200 * (second + 1))
            #expect(try knock(scripted, node, ["t0"], from: 1, at: start + .seconds(Int64(second))), "the node has it")
        }
        #expect(opened == 30 && scripted.counters.streamsShed[.topics].value == 270)
        #expect(try knock(scripted, node, (0..<50).map { "other\($0)" }, from: 2, at: start + .seconds(2)))
    }

    @Test("Logs are read for so many topics a second, also of names that the node has")
    func logs() throws {
        let scripted = ScriptedNode()
        let node = node(scripted, rate: 100_000, new: 20)
        let topics = (0..<10).map { "t\($0)" }
        #expect(try knock(scripted, node, topics, from: 9, at: start))
        let opened = try (0..<50).count { _ in
            try knock(scripted, node, topics, "&last_event_id=earliest", from: 1, at: start)
        }
        #expect(opened == 2)
        #expect(scripted.counters.logReads.value <= 20)
        // A cursor that the ring has is no work for Redis.
        let cursor = "&last_event_id=\(scripted.broker.clock)"
        scripted.tick()
        #expect(try knock(scripted, node, topics, cursor, from: 1, at: start))
        #expect(try !knock(scripted, node, topics, "&last_event_id=1-0", from: 1, at: start), "one from long ago is")
    }

    @Test("Names that the node has are limited, too, by a larger number")
    func known() throws {
        let scripted = ScriptedNode()
        let node = node(scripted, rate: 100, new: 20)
        let topics = (0..<10).map { "t\($0)" }
        let opened = try (0..<50).count { _ in try knock(scripted, node, topics, from: 1, at: start) }
        #expect(opened == 10)
        #expect(try knock(scripted, node, topics, from: 1, at: start + .milliseconds(100)))
        #expect(try knock(scripted, node, topics, from: 2, at: start))
    }

    @Test("A stream that is turned away for another reason holds no place")
    func places() throws {
        let scripted = ScriptedNode()
        let node = node(scripted, rate: 10, new: 0)
        for _ in 0..<20 {
            _ = node.streams.admits(try request(["a"]), from: NetworkAddress(ipv4: 1), on: scripted.shard, now: start)
        }
        let places = (0..<100_000).count { _ in quotas.admit(address: NetworkAddress(ipv4: 1), client: nil) == nil }
        #expect(places == 99_990)
    }
}
