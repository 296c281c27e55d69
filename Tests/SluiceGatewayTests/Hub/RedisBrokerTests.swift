// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import NIOPosix
import SluiceCore
import SluiceGateway
import SluiceRedis
import TestSupport
import Testing

@Suite("RedisBroker")
struct RedisBrokerTests {
    private typealias Held = NIOLoopBoundBox<(broker: RedisBroker, hub: Hub)?>

    private static func reads(_ box: Held, on loop: any EventLoop) async -> ClockReading? {
        try? await loop.flatSubmit {
            box.value?.broker.mark(markersOf: []) ?? loop.makeFailedFuture(RedisError.unavailable)
        }.get()
    }

    @Test(
        "A clock that the function can't have written is no reading, lest streams begin at the end of time",
        .timeLimit(.minutes(1)), arguments: [("last", "\(EventID(.max, 0))"), ("born", "\(UInt64.max)")])
    func forgedClock(field: String, value: String) async throws {
        let redis = try await RedisServer()
        let url = try RedisURL("redis://127.0.0.1:\(redis.port)")
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let box = Held.makeEmptyBox(valueType: (broker: RedisBroker, hub: Hub).self, eventLoop: loop)
        try await loop.submit {
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let broker = RedisBroker(
                endpoint: try RedisEndpoint(url: url, clientName: "broker-test"), names: RedisNames(prefix: "sluice"),
                nodeID: "n", eventLoop: loop, logger: logger)
            let hub = Hub(
                eventLoop: loop, broker: broker, eventBytesMax: 1000, replayCacheBytes: 1 << 20, counters: Counters(),
                status: NodeStatus(),
                wallClock: { ScriptedNode.now }, logger: logger)
            box.value = (broker, hub)
            broker.start(feeding: hub)
        }.get()
        #expect(
            await eventually {
                try await loop.submit { box.value?.broker.tick(known: .zero) }.get()
                return await RedisBrokerTests.reads(box, on: loop) != nil
            })
        // All ticks are carried out by now, so that none puts it right.
        try await redis.cli("HSET", "sluice:clock", field, value)
        #expect(await RedisBrokerTests.reads(box, on: loop) == nil)
        try await loop.submit {
            box.value?.broker.stop()
            box.value = nil
        }.get()
    }
}
