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

    private static func launch(
        _ redis: RedisServer, on loop: any EventLoop, counters: Counters, status: NodeStatus = NodeStatus()
    ) async throws -> Held {
        let url = try RedisURL("redis://127.0.0.1:\(redis.port)")
        let box = Held.makeEmptyBox(valueType: (broker: RedisBroker, hub: Hub).self, eventLoop: loop)
        try await loop.submit {
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let broker = RedisBroker(
                .fixed(try RedisEndpoint(url: url, clientName: "broker-test")), names: RedisNames(prefix: "sluice"),
                nodeID: "n", presenceEvents: 100, eventLoop: loop, logger: logger)
            let hub = Hub(
                eventLoop: loop, broker: broker, limits: .init(event: 1000), replayCacheBytes: 1 << 20,
                counters: counters,
                status: status, wallClock: { ScriptedNode.now }, logger: logger)
            box.value = (broker, hub)
            broker.start { [unowned hub] in hub.receive($0) }
        }.get()
        return box
    }

    private static func start(_ redis: RedisServer, on loop: any EventLoop, counters: Counters) async throws -> Held {
        let box = try await launch(redis, on: loop, counters: counters)
        #expect(
            await eventually {
                try await loop.submit { box.value?.broker.tick(.first, known: .zero, entry: nil) }.get()
                return await RedisBrokerTests.reads(box, on: loop) != nil
            })
        return box
    }

    private static func stop(_ box: Held, on loop: any EventLoop) async throws {
        try await loop.submit {
            box.value?.broker.stop()
            box.value = nil
        }.get()
    }

    private static func reads(_ box: Held, on loop: any EventLoop) async -> ClockReading? {
        try? await loop.flatSubmit {
            box.value?.broker.mark(.first, markersOf: []) ?? loop.makeFailedFuture(RedisError.unavailable)
        }.get()
    }

    @Test(
        "A clock that the function can't have written is no reading, lest streams begin at the end of time",
        .timeLimit(.minutes(1)), arguments: [("last", "\(EventID(.max, 0))"), ("born", "\(UInt64.max)")])
    func forgedClock(field: String, value: String) async throws {
        let redis = try await RedisServer()
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let box = try await RedisBrokerTests.start(redis, on: loop, counters: Counters())
        // All ticks are carried out by now, so that none puts it right.
        try await redis.cli("HSET", "sluice:clock", field, value)
        #expect(await RedisBrokerTests.reads(box, on: loop) == nil)
        try await RedisBrokerTests.stop(box, on: loop)
    }

    @Test("What a log has behind an id that no clock gives out is not read again and again", .timeLimit(.minutes(1)))
    func foreignIDs() async throws {
        let redis = try await RedisServer()
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let box = try await RedisBrokerTests.start(redis, on: loop, counters: Counters())
        try await redis.cli("FCALL", "sluice_publish", "1", "sluice:topic:t", "ours")
        let client = try await RedisClient(redis)
        for number in 0..<100 {
            try await client.command("XADD", "sluice:topic:t", "1000000000000000-\(number)", "d", "foreign")
        }
        let target = try Target.topic("t")
        let outcomes = try await loop.flatSubmit {
            box.value?.broker.read(.first, [LogRead(target, after: .zero, bytes: 1000)], bytes: 1000)
                ?? loop.makeFailedFuture(RedisError.unavailable)
        }.get()
        guard case .page(let page) = try #require(outcomes.first) else {
            Issue.record("\(outcomes)")
            return
        }
        #expect(page.entries.map { String(buffer: $0.event.data) } == ["ours"] && page.isLast)
        try await RedisBrokerTests.stop(box, on: loop)
    }

    private static func liveOnly(_ topic: String, _ data: String) throws -> Publication {
        Publication(Event(ByteBuffer(string: data)), to: try .topic(topic), retention: nil)
    }

    @Test(
        "A Redis that does not take the function is counted and carries plain events, and its node is not ready",
        .timeLimit(.minutes(1)))
    func noFunction() async throws {
        let redis = try await RedisServer()
        try await redis.cli("CONFIG", "SET", "maxmemory", "1")
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let (counters, status) = (Counters(), NodeStatus())
        let box = try await RedisBrokerTests.launch(redis, on: loop, counters: counters, status: status)
        let listener = try await RedisClient(redis)
        try await listener.command("SUBSCRIBE", "sluice:node:n", "sluice:topic:t")
        _ = try await listener.message()
        let admin = try await RedisClient(redis)
        #expect(
            await eventually {
                try await loop.submit { box.value?.broker.tick(.first, known: .zero, entry: nil) }.get()
                let isCounted = counters.redisRefusals[.oom].value > 0
                return try await admin.command("PUBSUB", "NUMSUB", "sluice:node:n") == "sluice:node:n 2" && isCounted
            })
        #expect(status.problem(now: .now()) == "no feed from the broker")
        // Each tick tries anew, and between two tries there may be no connection.
        let event = try RedisBrokerTests.liveOnly("t", "live")
        let isPublished = await eventually {
            let receipt = try await loop.flatSubmit { () -> EventLoopFuture<Receipt> in
                box.value?.broker.tick(.first, known: .zero, entry: nil)
                return box.value?.broker.publish(event) ?? loop.makeFailedFuture(RedisError.unavailable)
            }.get()
            return receipt.id == nil && receipt.nodes > 0
        }
        try #require(isPublished)
        var heard: Set<String> = []
        while heard.count < 2 { heard.insert(try await listener.message()) }
        #expect(heard == ["message sluice:node:n alive", "message sluice:topic:t \u{1E}1 - -\n\nlive"])
        try await redis.cli("CONFIG", "SET", "maxmemory", "0")
        #expect(
            await eventually {
                try await loop.submit { box.value?.broker.tick(.first, known: .zero, entry: nil) }.get()
                return status.problem(now: .now()) == nil
            })
        try await RedisBrokerTests.stop(box, on: loop)
    }

    @Test(
        "A Redis that becomes a replica is left with the first command that it refuses, and looked for again",
        .timeLimit(.minutes(1)))
    func demoted() async throws {
        let redis = try await RedisServer()
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let box = try await RedisBrokerTests.start(redis, on: loop, counters: Counters())
        try await redis.cli("REPLICAOF", "127.0.0.1", "1")
        let event = try Publication(Event(ByteBuffer(string: "x")), to: .topic("t"))
        await #expect(throws: PublishFailure.self) {
            try await loop.flatSubmit {
                box.value?.broker.publish(event) ?? loop.makeFailedFuture(RedisError.unavailable)
            }.get()
        }
        #expect(await eventually { await RedisBrokerTests.reads(box, on: loop) == nil }, "it would answer reads")
        try await redis.cli("REPLICAOF", "NO", "ONE")
        #expect(await eventually { await RedisBrokerTests.reads(box, on: loop) != nil })
        try await RedisBrokerTests.stop(box, on: loop)
    }

    @Test(
        "A function that is gone is back after the first command that needs it, on the same connection",
        .timeLimit(.minutes(1)))
    func flushedFunction() async throws {
        let redis = try await RedisServer()
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let box = try await RedisBrokerTests.start(redis, on: loop, counters: Counters())
        let connections = try await redis.cli("INFO", "stats").firstMatch(of: /total_connections_received:(\d+)/)?.1
        try await redis.cli("FUNCTION", "FLUSH")
        let event = try Publication(Event(ByteBuffer(string: "x")), to: .topic("t"))
        #expect(
            await eventually {
                try await loop.flatSubmit {
                    box.value?.broker.publish(event) ?? loop.makeFailedFuture(RedisError.unavailable)
                }.get().id != nil
            })
        let later = try await redis.cli("INFO", "stats").firstMatch(of: /total_connections_received:(\d+)/)?.1
        // The two commands of this test.
        #expect((later.flatMap { Int($0) } ?? 0) - (connections.flatMap { Int($0) } ?? 0) == 2)
        try await RedisBrokerTests.stop(box, on: loop)
    }

    @Test("What is more than may wait for Redis is refused whole: nothing of it is published", .timeLimit(.minutes(1)))
    func tooMuch() async throws {
        let redis = try await RedisServer()
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let box = try await RedisBrokerTests.start(redis, on: loop, counters: Counters())
        let data = ByteBuffer(repeating: UInt8(ascii: "x"), count: 1_000_000)
        let publications = try (0..<70).map { Publication(Event(data), to: try .topic("t\($0)")) }
        func published(_ count: Int) async throws -> Int {
            try await loop.flatSubmit {
                box.value?.hub.publish(Array(publications.prefix(count))) ?? loop.makeSucceededFuture([])
            }.get().count { (try? $0.get()) != nil }
        }
        #expect(try await published(70) == 0)
        #expect(try await redis.cli("KEYS", "sluice:topic:*").isEmpty)
        #expect(try await published(30) == 30)
        try await RedisBrokerTests.stop(box, on: loop)
    }

    /// A state of Redis in which the tick is refused, and the first word of what it says.
    private static let refusals: [([String], String)] = [
        (["CONFIG", "SET", "maxmemory", "1"], "OOM"), (["ACL", "SETUSER", "default", "-fcall"], "NOPERM"),
        (["ACL", "SETUSER", "default", "-hmget"], "NOPERM"), (["RENAME", "list", "sluice:clock"], "WRONGTYPE"),
        (["CONFIG", "SET", "min-replicas-to-write", "1"], "NOREPLICAS"),
    ]

    @Test(
        "A tick that is refused is counted by what Redis says, and a sign of life comes instead of it",
        .timeLimit(.minutes(1)), arguments: refusals)
    func refusedTick(command: [String], code: String) async throws {
        let redis = try await RedisServer()
        try await redis.cli("RPUSH", "list", "x")
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let counters = Counters()
        let box = try await RedisBrokerTests.start(redis, on: loop, counters: counters)
        let listener = try await RedisClient(redis)
        try await listener.command("SUBSCRIBE", "sluice:node:n")
        let admin = try await RedisClient(redis)
        let words = command.map { Array($0.utf8) }
        let isOK = try await admin.pipeline([words]) == ["OK"]
        #expect(isOK)
        try await loop.submit { box.value?.broker.tick(.first, known: .zero, entry: nil) }.get()
        #expect(try await listener.message() == "message sluice:node:n alive")
        let codes = RedisRefusal.allCases.filter { counters.redisRefusals[$0].value > 0 }.map(\.rawValue)
        #expect(codes.contains(code), "\(codes)")
        try await RedisBrokerTests.stop(box, on: loop)
    }
}
