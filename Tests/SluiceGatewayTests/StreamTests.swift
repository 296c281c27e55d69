// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("opens and keeps streams")
    struct StreamTests {
        private static let keeping: EventStreamClient.Options = {
            var options = EventStreamClient.Options()
            options.keepsBody = true
            return options
        }()

        @Test(
            "A stream begins with its head, a retry, a comment and a checkpoint, byte for byte",
            .timeLimit(.minutes(1)), arguments: Stage.all)
        func prelude(stage: Stage) async throws {
            let test = try await TestNode.start(stage, ["--retry", "3s", "--retry-spread", "0s"])
            let stream = try await test.stream("/events?topic=a&client=c", StreamTests.keeping)
            #expect(await stream.waits { !$0.events.isEmpty })
            let now = stream.now
            let head = try #require(now.answer)
            #expect(head.version == (stage.transport.isHTTP2 ? "HTTP/2" : "HTTP/1.1"))
            #expect(head.status == 200)
            #expect(head["Content-Type"] == "text/event-stream; charset=utf-8")
            #expect(head["Cache-Control"] == "no-cache, no-store, no-transform")
            #expect(head["X-Accel-Buffering"] == "no")
            #expect(head["X-Content-Type-Options"] == "nosniff")
            let isChunked = [.http11, .tlsHTTP11].contains(stage.transport)
            #expect(head["Transfer-Encoding"] == (isChunked ? "chunked" : nil))
            // A stream's connection carries nothing after it, and HTTP/1 says so at once.
            #expect(head["Connection"] == (stage.transport.isHTTP2 ? nil : "close"))
            #expect(head["Content-Length"] == nil)
            #expect(head["Access-Control-Allow-Origin"] == "*")
            #expect(head["Sluice-Node"] == test.node.id)
            let checkpoint = try #require(now.events.first)
            #expect(checkpoint.type == "checkpoint" && checkpoint.data.isEmpty)
            #expect(checkpoint.id.wholeMatch(of: /\d+-\d+/) != nil)
            let body = String(decoding: now.body, as: UTF8.self)
            #expect(body == "retry: 3000\n:\nevent: checkpoint\nid: \(checkpoint.id)\ndata:\n\n")
        }

        @Test(
            "A stream that names nothing gets what is published to everybody, under every name of the route, and replays it",
            .timeLimit(.minutes(1)), arguments: BrokerKind.allCases)
        func broadcast(broker: BrokerKind) async throws {
            let test = try await TestNode.start(broker)
            let targets = ["/events", "/events/", "/sse", "/sse/", "/stream", "/stream/?_=17637"]
            var streams: [EventStreamClient] = []
            for target in targets { streams.append(try await test.stream(target)) }
            try await test.publish(#"{"topic":"a","client":"c","data":"not for them"}"#)
            try await test.publish(#"{"all":true,"data":"1"}"#)
            // Everybody has no end.
            try await test.publish(#"{"all":true,"data":"2","event":"add","end":true}"#)
            try await test.publish(#"{"all":true,"data":"3"}"#)
            for word in ["earliest", "available"] {
                streams.append(try await test.stream("/sse?last_event_id=\(word)"))
            }
            for stream in streams {
                #expect(await stream.receives(3))
                #expect(stream.data == ["1", "2", "3"])
                #expect(stream.now.openings == 1)
            }
            let cursor = try #require(streams[0].now.messages.first?.id)
            let resumed = try await test.stream("/stream?last_event_id=\(cursor)")
            #expect(await resumed.receives(2))
            #expect(resumed.data == ["2", "3"])
        }

        @Test("Every stream has a retry of its own between the first and the last allowed", .timeLimit(.minutes(1)))
        func jitter() async throws {
            let test = try await TestNode.start(.memory, ["--retry", "1s", "--retry-spread", "2s"])
            var retries: [Int] = []
            for _ in 0..<16 {
                let stream = try await test.stream("/events?topic=a")
                #expect(await stream.waits { !$0.retries.isEmpty })
                retries += stream.now.retries
                stream.close()
            }
            #expect(retries.allSatisfy { (1000...3000).contains($0) }, "\(retries)")
            #expect(Set(retries).count > 8, "\(retries)")
        }

        @Test("checkpoints=0 turns them off", .timeLimit(.minutes(1)), arguments: BrokerKind.allCases)
        func noCheckpoints(broker: BrokerKind) async throws {
            let test = try await TestNode.start(broker, ["--checkpoint", "200ms", "--heartbeat", "200ms"])
            let stream = try await test.stream("/events?topic=a&checkpoints=0", StreamTests.keeping)
            #expect(await stream.waits { $0.comments >= 12 })
            #expect(stream.now.events.isEmpty)
            let body = String(decoding: stream.now.body, as: UTF8.self)
            #expect(body.wholeMatch(of: /retry: \d+\n(:\n)+/) != nil, "\(body)")
        }

        @Test(
            "A quiet stream's cursor is renewed and never goes back",
            .timeLimit(.minutes(1)), arguments: BrokerKind.allCases)
        func checkpoints(broker: BrokerKind) async throws {
            let test = try await TestNode.start(broker, ["--checkpoint", "200ms"])
            let stream = try await test.stream("/events?topic=a")
            #expect(await stream.waits { $0.events.count >= 3 })
            try await test.publish(#"{"topic":"a","data":"x"}"#)
            #expect(await stream.waits { $0.events.count >= 6 })
            let ids = try stream.now.events.map { try position($0.id) }
            #expect(zip(ids, ids.dropFirst()).allSatisfy { $0.0 < $1.0 || ($0.0 == $1.0 && $0.1 < $1.1) }, "\(ids)")
        }

        private func position(_ id: String) throws -> (Int, Int) {
            let parts = id.split(separator: "-").compactMap { Int($0) }
            try #require(parts.count == 2, "\(id)")
            return (parts[0], parts[1])
        }

        @Test(
            "Silence is broken by comments, which are no events",
            .timeLimit(.minutes(1)), arguments: Stage.all)
        func heartbeat(stage: Stage) async throws {
            let test = try await TestNode.start(stage, ["--heartbeat", "200ms"])
            let stream = try await test.stream("/events?topic=a", StreamTests.keeping)
            #expect(await stream.waits { $0.comments >= 4 })
            #expect(stream.data.isEmpty)
            #expect(stream.now.ignored.isEmpty)
            #expect(String(decoding: stream.now.body, as: UTF8.self).hasSuffix("\n:\n:\n"))
        }

        @Test(
            "A stream's lifetime ends with a new retry and a clean end; who comes back gets another stream",
            .timeLimit(.minutes(1)), arguments: Stage.all)
        func lifetime(stage: Stage) async throws {
            let test = try await TestNode.start(
                stage, ["--lifetime", "1s", "--retry", "100ms", "--retry-spread", "100ms"])
            let stream = try await test.stream("/events?topic=a", StreamTests.keeping)
            #expect(await stream.waits { $0.isOver })
            let now = stream.now
            #expect(now.failure == nil)
            #expect(now.cleanEnds == 1)
            #expect(now.retries.count == 2)
            #expect(now.retries.allSatisfy { (100...200).contains($0) })
            #expect(String(decoding: now.body, as: UTF8.self).contains(/\n\nretry: \d+\n$/))

            var options = test.over()
            options.reconnects = true
            let faithful = EventStreamClient(port: test.port, "/events?topic=a", options: options)
            #expect(await faithful.waits { $0.openings >= 2 })
            #expect(faithful.now.failure == nil)
            faithful.close()
            #expect(await eventually { try await test.node.metric("streams") == 0 })
        }

        @Test(
            "A client that leaves is forgotten, however it leaves",
            .timeLimit(.minutes(1)), arguments: BrokerKind.allCases)
        func leaving(broker: BrokerKind) async throws {
            let test = try await TestNode.start(broker)
            let before = test.node.sockets
            for round in 0..<20 {
                let socket = try await RawSocket(port: test.port)
                try await socket.send("GET /events?topic=a\(round)&client=c HTTP/1.1\r\nHost: a\r\n\r\n")
                if round % 4 != 0 { _ = try await socket.receive() }
                switch round % 3 {
                case 0: socket.close()
                case 1: socket.reset()
                default:
                    socket.finishSending()
                    socket.close()
                }
            }
            #expect(await eventually { test.node.sockets <= before })
            #expect(await eventually { try await test.node.metric("streams") == 0 })
            #expect(try await test.node.metric("streams_opened_total") <= 20)
        }

        @Test(
            "Over --max-streams a client is sent away with a 200, a retry and a clean end, until another leaves",
            .timeLimit(.minutes(1)))
        func shed() async throws {
            let test = try await TestNode.start(.memory, ["--max-streams", "3"])
            var open: [EventStreamClient] = []
            for _ in 0..<3 { open.append(try await test.stream("/events?topic=a")) }
            let answer = try await request(test.port, "GET", "/events?topic=a")
            #expect(answer.status == 200)
            #expect(answer["Content-Type"] == "text/event-stream; charset=utf-8")
            #expect(answer.text.wholeMatch(of: /retry: \d+\n:\n/) != nil, "\(answer.text)")
            #expect(try await test.node.metric("streams_shed_total") == 1)
            try await test.publish(#"{"all":true,"data":"x"}"#)
            for stream in open { #expect(await stream.receives(1)) }
            open.removeFirst().close()
            #expect(await eventually { try await test.node.metric("streams") == 2 })
            _ = try await test.stream("/events?topic=a")
        }
    }
}
