// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import Testing

@Suite("Grant")
struct GrantTests {
    private static let targets = ["all", "topic:news", "topic:other", "client:ann", "client:bob"]

    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let client: String?
        let patterns: [String]
        let subscribes: [String]
        let publishes: [String]

        init(
            _ name: String, client: String? = nil, _ patterns: [String], subscribes: [String], publishes: [String]
        ) {
            testDescription = name
            self.client = client
            self.patterns = patterns
            self.subscribes = subscribes
            self.publishes = publishes
        }
    }

    private static let rows = [
        Row("nothing is everybody's events only", [], subscribes: ["all"], publishes: []),
        Row("a client has its own", client: "ann", [], subscribes: ["all", "client:ann"], publishes: []),
        Row("a topic", ["news"], subscribes: ["all", "topic:news"], publishes: ["topic:news"]),
        Row(
            "all topics are no clients and not everybody", ["topic:*"],
            subscribes: ["all", "topic:news", "topic:other"], publishes: ["topic:news", "topic:other"]),
        Row(
            "a star publishes everywhere but subscribes to topics", client: "ann", ["*"],
            subscribes: ["all", "topic:news", "topic:other", "client:ann"], publishes: targets),
        Row(
            "another client by its pattern", client: "ann", ["client:bob"],
            subscribes: ["all", "client:ann", "client:bob"], publishes: ["client:bob"]),
        Row(
            "all clients", ["client:*"], subscribes: ["all", "client:ann", "client:bob"],
            publishes: ["client:ann", "client:bob"]),
        Row("a topic of the name all is not everybody", ["all"], subscribes: ["all"], publishes: []),
    ]

    @Test("who may have one topic or client, may have something; who may only publish, may not")
    func something() throws {
        let pattern = try TargetPattern("client:bob")
        #expect(Grant(subscribe: [pattern]).maySubscribeToSomething)
        #expect(Grant(client: "ann").maySubscribeToSomething)
        #expect(Grant.everything.maySubscribeToSomething)
        #expect(!Grant(publish: [pattern]).maySubscribeToSomething)
        #expect(!Grant.anonymous([]).maySubscribeToSomething)
    }

    @Test("a grant covers what it names and nothing else", arguments: rows)
    func covers(_ row: Row) throws {
        let patterns = try row.patterns.map { try TargetPattern($0) }
        let grant = Grant(client: row.client, subscribe: patterns, publish: patterns)
        for text in GrantTests.targets {
            let target = try #require(Target(text))
            #expect(grant.maySubscribe(to: target) == row.subscribes.contains(text), "subscribe \(text)")
            #expect(grant.mayPublish(to: target) == row.publishes.contains(text), "publish \(text)")
        }
    }

    @Test("to subscribe is not to publish, nor the other way round")
    func separate() throws {
        let news = try Target.topic("news")
        let reader = Grant(subscribe: [try TargetPattern("*")])
        #expect(reader.maySubscribe(to: news) && !reader.mayPublish(to: news) && !reader.mayPublish(to: .all))
        let writer = Grant(publish: [try TargetPattern("*")])
        #expect(writer.mayPublish(to: news) && !writer.maySubscribe(to: news))
    }

    @Test(
        "an administrator and everybody in open mode may do all", arguments: [Grant.everything, Grant(isAdmin: true)])
    func everything(_ grant: Grant) throws {
        for text in GrantTests.targets {
            let target = try #require(Target(text))
            #expect(grant.maySubscribe(to: target) && grant.mayPublish(to: target))
        }
    }

    @Test("a request without a token subscribes to the listed topics and publishes nothing")
    func anonymous() throws {
        let grant = Grant.anonymous([try TargetPattern("*")])
        #expect(grant.maySubscribe(to: try .topic("news")) && grant.maySubscribe(to: .all))
        #expect(!grant.maySubscribe(to: try .client("ann")))
        for text in GrantTests.targets { #expect(!grant.mayPublish(to: try #require(Target(text)))) }
        #expect(!grant.isAdmin && grant.id.isEmpty && grant.expiry == nil && grant.client == nil)
    }

    @Test("a client of the same look in other bytes is another client")
    func comparesBytes() throws {
        let grant = Grant(client: "caf\u{E9}")
        #expect(grant.maySubscribe(to: try .client("caf\u{E9}")))
        #expect(!grant.maySubscribe(to: try .client("cafe\u{301}")))
    }
}
