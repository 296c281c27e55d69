// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

extension NodeTests {
    @Suite("gives streams away")
    struct RebalancingTests {
        @Test(
            "A node that has all streams ends some, with a time to come back, while another has none",
            .timeLimit(.minutes(1)))
        func ends() async throws {
            let redis = try await RedisServer()
            let node = try await NodeProcess(redis: redis, ["--rebalance"])
            let other = try await NodeProcess(redis: redis)
            var streams: [EventStreamClient] = []
            for number in 0..<80 {
                streams.append(try await .opened(port: node.port, "/events?client=c\(number)"))
            }
            #expect(await eventually(within: 30) { streams.contains { $0.now.cleanEnds == 1 } })
            let ended = try #require(streams.first { $0.now.cleanEnds == 1 })
            #expect(ended.now.retries.count == 2 && ended.now.failure == nil)
            // A hundredth of them in a second is one.
            #expect(streams.count { $0.now.isOver } < 20)
            withExtendedLifetime(other) {}
        }
    }
}
