// SPDX-License-Identifier: Apache-2.0
import Foundation
import SluiceCore
import TestSupport
import Testing

@testable import SluiceClient

@Suite struct PublisherTests {
    @Test("What is published through a node or through Redis is what a subscriber gets", .timeLimit(.minutes(1)))
    func roundTrip() async throws {
        let redis = try await RedisServer()
        let node = try await NodeProcess(redis: redis)
        let url = "http://127.0.0.1:\(node.port)"
        let publishers = [try Publisher(url), try Publisher(redis: redis.url)]
        var ids: [String?] = []
        for (index, publisher) in publishers.enumerated() {
            let event = OutgoingEvent("\(index)ä\n", to: .topic("t"), type: "x", ttl: .seconds(60), once: "\(index)")
            let receipt = try await publisher.publish(event)
            #expect(try await publisher.publish(event) == receipt, "the same token: not published again")
            ids.append(receipt.id)
        }
        var events: [ServerSentEvent] = []
        for try await event in try EventSource(url, topics: ["t"], lastEventID: "earliest") where event.type == "x" {
            events.append(event)
            if events.count == 2 { break }
        }
        #expect(events.map(\.data) == ["0ä\n", "1ä\n"])
        #expect(events.map(\.id) == ids)
        for publisher in publishers {
            await publisher.close()
            #expect(try await publisher.publish(OutgoingEvent("again", to: .all, isLogged: false)).id == nil)
        }
    }

    @Test("Those who publish at a time share a connection, and each gets its own receipt", .timeLimit(.minutes(1)))
    func together() async throws {
        let redis = try await RedisServer()
        let node = try await NodeProcess(redis: redis)
        for publisher in [try Publisher("http://127.0.0.1:\(node.port)"), try Publisher(redis: redis.url)] {
            let ids = try await withThrowingTaskGroup(of: String?.self) { group in
                for index in 0..<50 {
                    group.addTask { try await publisher.publish(OutgoingEvent("\(index)", to: .topic("t"))).id }
                }
                return try await group.reduce(into: Set<String>()) { if let id = $1 { $0.insert(id) } }
            }
            #expect(ids.count == 50)
        }
        let clients = try await redis.cli("CLIENT", "LIST").split(separator: "\n")
        #expect(clients.count { $0.contains("name=sluice-publish") } == 1)
    }

    @Test(
        "In a cluster each event goes to its partition's master, over one connection to each, also while a partition moves",
        .timeLimit(.minutes(2)))
    func cluster() async throws {
        let cluster = try await RedisCluster(masters: 3)
        let publisher = try Publisher(redis: cluster.url)
        try await publisher.connect()
        let events = (0..<64).map { OutgoingEvent("\($0)", to: .topic("t\($0)"), once: "token\($0)") }
        let ids = await publisher.publish(events).compactMap { try? $0.get().id }
        #expect(ids.count == events.count)
        let slot = try await cluster.slot(of: "{250}")
        let source = try await cluster.master(ofSlot: slot)
        let target = try #require(try await cluster.masters().first { $0 !== source })
        try await cluster.move(slot: slot, to: target)
        #expect(await publisher.publish(events).compactMap { try? $0.get().id } == ids, "the same tokens")
        for server in try await cluster.masters() {
            let clients = try await server.ask("CLIENT", "LIST").split(separator: "\n")
            #expect(clients.count { $0.contains("name=sluice-publish") } == 1)
        }
        let plain = try Publisher(redis: cluster.url, isPlain: true)
        #expect(try await plain.publish(OutgoingEvent("plain", to: .all)).id == nil)
        await plain.close()
        await publisher.close()

        let users = try String(contentsOfFile: "\(Repository.root)/deploy/users-cluster.acl", encoding: .utf8)
        let user = try #require(users.split(separator: "\n").first { $0.hasPrefix("user sluice-publisher ") })
        let words = user.replacing("PUBLISHER-PASSWORD", with: "secret").split(separator: " ").dropFirst()
        for server in cluster.servers { try await server.ask(["ACL", "SETUSER"] + words.map(String.init)) }
        let login = "redis+cluster://sluice-publisher:secret@"
        let restricted = try Publisher(redis: cluster.url.replacing("redis+cluster://", with: login))
        #expect(await restricted.publish(events).compactMap { try? $0.get().id } == ids)
        await restricted.close()
    }

    @Test("What is said to be a cluster and is none is an error that says so", .timeLimit(.minutes(1)))
    func noCluster() async throws {
        let redis = try await RedisServer()
        let publisher = try Publisher(redis: "redis+cluster://127.0.0.1:\(redis.port)")
        let error = await #expect(throws: ClientError.self) { try await publisher.connect() }
        #expect(error?.description.contains("no server of a cluster") == true, "\(String(describing: error))")
        let cluster = try await RedisCluster(masters: 1)
        let lone = try Publisher(redis: "redis://127.0.0.1:\(cluster.servers[0].port)")
        let other = await #expect(throws: ClientError.self) { try await lone.connect() }
        #expect(other?.description.contains("redis+cluster://") == true, "\(String(describing: other))")
    }

    @Test("What is no event is not sent, and nothing behind it", .timeLimit(.minutes(1)))
    func invalid() async throws {
        let node = try await NodeProcess()
        let publisher = try Publisher("http://127.0.0.1:\(node.port)")
        let results = await publisher.publish([
            OutgoingEvent("a", to: .topic("t")), OutgoingEvent("b", to: .topic("t u")),
            OutgoingEvent("c", to: .topic("t")),
        ])
        let kinds = results.map { result -> ClientError.Kind? in
            if case .failure(let error) = result { error.kind } else { nil }
        }
        #expect(kinds == [nil, .refused, .later(after: nil)])
    }

    @Test(
        "Each part of an event has its bounds",
        arguments: [
            (OutgoingEvent("", to: .topic("a b")), .topic), (OutgoingEvent("", to: .client("")), .client),
            (OutgoingEvent("", to: .all, type: "error"), .event), (OutgoingEvent("", to: .all, key: ""), .key),
            (OutgoingEvent("", to: .all, once: ""), .once), (OutgoingEvent("", to: .all, maxlen: 0), .maxlen),
            (OutgoingEvent("", to: .all, ttl: .milliseconds(1500)), .ttl),
            (OutgoingEvent("", to: .all, ttl: .seconds(604_801)), .ttl), (OutgoingEvent("", to: .all), nil),
        ] as [(OutgoingEvent, OutgoingEvent.Invalid.Part?)])
    func bounds(event: OutgoingEvent, part: OutgoingEvent.Invalid.Part?) {
        do {
            _ = try event.publication()
            #expect(part == nil)
        } catch {
            #expect(error.part == part)
        }
    }

    @Test("An answer says whether to try again", .timeLimit(.minutes(1)))
    func kinds() async throws {
        let event = OutgoingEvent("x", to: .all)
        let answers: [(ScriptedServer.Answer, ClientError.Kind)] = [
            (.whole("429 Too Many Requests", "Retry-After: 7\r\n"), .later(after: .seconds(7))),
            (.whole("503 Service Unavailable", "", #"{"error":"unknown"}"#), .unknown),
            (.whole("503 Service Unavailable"), .later(after: nil)), (.whole("502 Bad Gateway"), .unknown),
            (.whole("403 Forbidden"), .refused), (.whole("200 OK", "", "{}"), .refused),
            (.init(text: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), .unknown),
        ]
        for (answer, kind) in answers {
            let server = ScriptedServer([answer])
            let publisher = try Publisher(await server.start(), token: "secret")
            let error = await #expect(throws: ClientError.self) { try await publisher.publish(event) }
            #expect(error?.kind == kind, "\(answer.text)")
            #expect(server.requests[0].contains("Authorization: Bearer secret\r\n"))
        }
        let nobody = try Publisher("http://127.0.0.1:\(freePort())")
        let error = await #expect(throws: ClientError.self) { try await nobody.publish(event) }
        #expect(error?.kind == .refused, "a server that never was there may have another name")
    }

    @Test("What is no address is refused")
    func addresses() {
        #expect(throws: ClientError.self) { try Publisher("ftp://127.0.0.1") }
        #expect(throws: ClientError.self) { try Publisher(redis: "http://127.0.0.1") }
        #expect(throws: ClientError.self) { try Publisher(redis: "redis://127.0.0.1", prefix: "a b") }
    }
}
