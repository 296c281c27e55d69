// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceRedis
import Synchronization
import TestSupport
import Testing

@Suite("RedisFeed against a real Redis")
struct RedisFeedTests {
    @Test(
        "messages come in the order of their publishing over all channels, each once, after their channel's confirmation"
    )
    func order() async throws {
        let server = try await RedisServer()
        let feed = try await FeedProbe(try server.endpoint())
        #expect(try await feed.want("a", "b") == [false, false])
        #expect(await eventually { feed.count(.confirmed("a")) == 1 && feed.count(.confirmed("b")) == 1 })
        #expect(try await feed.want("a") == [true])
        let publisher = try await Client(try server.endpoint())
        let numbers = 0..<3000
        let replies = try await publisher.pipeline(
            numbers.map { RESPCommand(["PUBLISH", $0 % 3 == 0 ? "a" : "b", "\($0)"]) })
        #expect(replies.allSatisfy { $0 == .integer(1) })
        #expect(await eventually { feed.messages.count >= numbers.count })
        let messages = feed.events.filter { if case .message = $0 { true } else { false } }
        #expect(messages == numbers.map { .message($0 % 3 == 0 ? "a" : "b", Array("\($0)".utf8)) })
        #expect(feed.events.prefix(3).allSatisfy { if case .message = $0 { false } else { true } })
        try await feed.stop()
    }

    @Test("payloads of any bytes and any length arrive as they are")
    func payloads() async throws {
        let server = try await RedisServer()
        let feed = try await FeedProbe(try server.endpoint())
        #expect(try await feed.listen(to: "sluice:topic:日本 \"*?[a]\\"))
        let publisher = try await Client(try server.endpoint())
        let payloads: [[UInt8]] = [
            [], [0], Array("\r\n$5\r\n*3\r\n".utf8), (0...255).map { UInt8($0) },
            [UInt8](repeating: 0x0D, count: 1 << 20),
        ]
        for payload in payloads {
            var command = RESPCommand(["PUBLISH", "sluice:topic:日本 \"*?[a]\\"])
            command.words.append(.init(bytes: payload))
            #expect(try await publisher.send(command) == .integer(1))
        }
        #expect(await eventually { feed.messages.count == payloads.count })
        #expect(feed.messages == payloads)
        try await feed.stop()
    }

    @Test(
        "a server that falls silent before it has confirmed the channels is left, and called again",
        .timeLimit(.minutes(1)))
    func silence() async throws {
        let connections = Mutex(0)
        let server = try await SlowReplies.bind("", interval: .zero) { connections.withLock { $0 += 1 } }
        defer { server.close(promise: nil) }
        let port = try #require(server.localAddress?.port)
        let log = LogLines()
        let feed = try await FeedProbe(
            RedisEndpoint(url: RedisURL("redis://127.0.0.1:\(port)"), clientName: "x"), silenceMax: .milliseconds(500),
            logger: log.logger, wanting: ["a"])
        #expect(await eventually { connections.withLock { $0 } > 2 })
        #expect(!feed.events.isEmpty && feed.events.allSatisfy { $0 == .down }, "what was confirmed is heard no more")
        let line = "warning the feed is down reason=closed by this node redis=redis://127.0.0.1:\(port)/0"
        #expect(log.all.withLock { $0 } == [line], "who has confirmed nothing is not connected again")
        try await feed.stop()
    }

    @Test("glob characters are plain ones: only the exact name is heard")
    func exactNames() async throws {
        let server = try await RedisServer()
        let feed = try await FeedProbe(try server.endpoint())
        #expect(try await feed.listen(to: "news*"))
        #expect(try await server.cli("PUBLISH", "news1", "no") == "0")
        #expect(try await server.cli("PUBLISH", "news*", "yes") == "1")
        #expect(await eventually { feed.messages == [Array("yes".utf8)] })
        try await feed.stop()
    }

    @Test("a lost connection is made anew with every channel, and both are told: down, then up once all are confirmed")
    func connectionKilled() async throws {
        let server = try await RedisServer()
        let feed = try await FeedProbe(try server.endpoint())
        let channels = (0..<1500).map { "c\($0)" }
        for channel in channels { _ = try await feed.want(channel) }
        #expect(await eventually { feed.count(.confirmed("c1499")) == 1 && feed.count(.up) == 1 })
        #expect(try await server.cli("CLIENT", "KILL", "TYPE", "pubsub") == "1")
        #expect(await eventually { feed.count(.up) == 2 })
        #expect(feed.events.filter { $0 == .up || $0 == .down } == [.up, .down, .up])
        // The second up comes after the second confirmation of each.
        let events = feed.events
        let up = try #require(events.lastIndex(of: .up))
        let again = events[..<up].filter { if case .confirmed = $0 { true } else { false } }
        #expect(again.count == 2 * channels.count)
        #expect(try await server.cli("PUBLISH", "c77", "again") == "1")
        #expect(await eventually { feed.messages == [Array("again".utf8)] })
        try await feed.stop()
    }

    @Test("a restart of Redis on the same port: everything is heard again, also what was wanted meanwhile")
    func restart() async throws {
        let port = freePort()
        let server = try await RedisServer(port: port)
        let feed = try await FeedProbe(try server.endpoint())
        #expect(try await feed.listen(to: "before"))
        _ = try await feed.listen(to: "dropped")
        await server.kill()
        #expect(await eventually { feed.count(.down) == 1 })
        #expect(try await feed.want("before", "meanwhile") == [false, false])
        try await feed.release("dropped")
        #expect(await eventually { feed.count(.gone("dropped")) == 1 })
        let second = try await RedisServer(port: port)
        #expect(await eventually { feed.count(.up) == 2 })
        #expect(feed.count(.confirmed("meanwhile")) == 1)
        let channels = try await second.cli("PUBSUB", "CHANNELS")
        #expect(channels.split(separator: "\n").sorted() == ["before", "meanwhile"])
        try await feed.stop()
    }

    @Test("a channel that is released is given up after its linger, and told as gone")
    func release() async throws {
        let server = try await RedisServer()
        let feed = try await FeedProbe(try server.endpoint(), linger: .milliseconds(10))
        #expect(try await feed.listen(to: "stays"))
        #expect(try await feed.listen(to: "goes"))
        try await feed.release("goes")
        #expect(await eventually { feed.count(.gone("goes")) == 1 })
        #expect(try await server.cli("PUBSUB", "CHANNELS") == "stays")
        #expect(try await feed.listen(to: "goes"), "and can be wanted again")
        #expect(await eventually { try await server.cli("PUBLISH", "goes", "x") == "1" })
        try await feed.stop()
    }

    @Test("a feed that is told to reconnect goes down and comes up again")
    func reconnect() async throws {
        let server = try await RedisServer()
        let feed = try await FeedProbe(try server.endpoint())
        #expect(try await feed.listen(to: "a"))
        try await feed.reconnect()
        #expect(await eventually { feed.count(.up) == 2 && feed.count(.confirmed("a")) == 2 })
        #expect(feed.count(.down) == 1)
        try await feed.stop()
    }

    @Test("a feed that was stopped leaves Redis and says nothing more of it")
    func stop() async throws {
        let server = try await RedisServer()
        let feed = try await FeedProbe(try server.endpoint(clientName: "feed-test"))
        #expect(try await feed.listen(to: "a"))
        try await feed.stop()
        #expect(await eventually { try await !server.cli("CLIENT", "LIST").contains("name=feed-test") })
        #expect(feed.count(.up) == 1)
    }
}
