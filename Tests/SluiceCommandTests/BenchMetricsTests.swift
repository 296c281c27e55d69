// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore
import TestSupport
import Testing

/// What a node says of itself, and what `sluice bench` has seen of it.
@Suite(.serialized) struct BenchMetricsTests {
    /// A machine that is busy lets the client wait behind the node: then they are compared again.
    private static let rounds = 5

    @Test("A node's delivery times are those that its clients see", .timeLimit(.minutes(3)), arguments: [80, 300])
    func deliveryTimes(delay: Int) async throws {
        let redis = try await RedisServer()
        // All that the node hears comes late, so that what the machine does besides is small.
        let relay = try await Relay(to: redis.port, delay: .milliseconds(Int64(delay)))
        var differences: [String] = []
        for _ in 0..<BenchMetricsTests.rounds {
            let node = try await NodeProcess(["--threads", "2", "--redis", relay.url])
            guard let difference = try await difference(node, redis) else {
                return try await countsNoOther(node, redis)
            }
            differences.append(difference)
        }
        Issue.record("\(differences)")
    }

    private static let (streams, messages) = (200, 50)

    /// What the node says of its delivery times, where that is not what its clients saw.
    private func difference(_ node: NodeProcess, _ redis: RedisServer) async throws -> String? {
        let (streams, messages) = (BenchMetricsTests.streams, BenchMetricsTests.messages)
        let bench = try ChildProcess(
            Repository.binary,
            [
                "bench", "--json", "--quiet", "--settle", "10ms", "--streams", "\(streams)", "--messages",
                "\(messages)",
                "--rate", "100", "--url", "http://127.0.0.1:\(node.port)/events?topic=bench", "--redis", redis.url,
                "--channel", "sluice:topic:bench", "--logged",
            ])
        #expect(await bench.exitCode(within: 60) == 0)
        let report = try JSONSerialization.jsonObject(with: Data(bench.output.utf8)) as? [String: Any]
        let seen = try #require(report?["latency_ms"] as? [String: Double])
        let page = try await request(node.adminPort, "GET", "/metrics").text
        let times = try #require(try MetricsText(page, isOpenMetrics: false)["sluice_delivery_seconds"])
        #expect(times.samples.last?.value == Double(streams * messages))
        for (name, quantile) in [("p50", 0.5), ("p90", 0.9)] {
            let bucket = try #require(times.bucket(of: quantile))
            let seconds = try #require(seen[name]) / 1000
            // In the same bucket, or in the next where the two lie about its end.
            guard seconds >= bucket.lowerBound / 2, seconds <= bucket.upperBound * 2 else {
                return "\(name): \(bucket), \(seen)"
            }
        }
        return nil
    }

    /// A replay is no delivery of this kind, nor is what has no id.
    private func countsNoOther(_ node: NodeProcess, _ redis: RedisServer) async throws {
        let (streams, messages) = (BenchMetricsTests.streams, BenchMetricsTests.messages)
        let late = try await EventStreamClient.opened(
            port: node.port, "/events?topic=bench&last_event_id=earliest")
        // Of earlier rounds as well.
        #expect(await late.waits { $0.messages.count >= messages })
        let client = try await RedisClient(redis)
        try await client.publish("sluice:topic:bench", Array("plain".utf8))
        #expect(await late.waits { $0.messages.last?.data == "plain" })
        let after = try await request(node.adminPort, "GET", "/metrics").text
        let count = try MetricsText(after, isOpenMetrics: false)["sluice_delivery_seconds"]?.samples.last
        #expect(count?.value == Double(streams * messages))
    }
}
