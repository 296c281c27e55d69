// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import TestSupport
import Testing

@testable import SluiceClient

@Suite struct EventSourceTests {
    private typealias Answer = ScriptedServer.Answer

    private func updates(_ source: EventSource) async throws -> [EventSourceUpdate] {
        var result: [EventSourceUpdate] = []
        for try await update in source.updates() { result.append(update) }
        return result
    }

    @Test("It comes back with the id that it has reached, until the server has no more", .timeLimit(.minutes(1)))
    func comesBack() async throws {
        let server = ScriptedServer([
            .stream("retry: 100\n\nid: 7\ndata: a\n\ndata: b\n\n"), .stream("id: 8\nevent: x\ndata: c\n\nid: 9\n"),
            .whole("204 No Content"),
        ])
        var events: [ServerSentEvent] = []
        for try await event in try EventSource(await server.start()) { events.append(event) }
        #expect(
            events == [
                ServerSentEvent(data: "a", id: "7", lastEventID: "7"), ServerSentEvent(data: "b", lastEventID: "7"),
                ServerSentEvent(type: "x", data: "c", id: "8", lastEventID: "8"),
            ])
        let ids = server.requests.map { $0.firstMatch(of: /Last-Event-ID: (.*)\r\n/)?.1 }
        #expect(ids == [nil, "7", "8"])
    }

    @Test("All that happens is told", .timeLimit(.minutes(1)))
    func tells() async throws {
        let cut = Answer(text: Answer.streamHead + "Content-Length: 99\r\nSluice-Node: n1\r\n\r\n: hi\nretry: 200\n")
        let whole = Answer(text: Answer.streamHead + "Content-Length: 6\r\n\r\ndata\n\n")
        let server = ScriptedServer([cut, whole, .whole("204 No Content")])
        let wait = Duration.milliseconds(200)
        #expect(
            try await updates(EventSource(server.start())) == [
                .opened(node: "n1", endsOutage: false), .comment(" hi"), .retry(milliseconds: 200),
                .disconnected(failure: "the connection was closed", wait: wait, isNews: true),
                .opened(node: nil, endsOutage: true), .event(ServerSentEvent(data: "")),
                .disconnected(failure: nil, wait: wait, isNews: false),
            ])
    }

    @Test(
        "The words for a beginning go into the query, and never into the header, where they would count for ever",
        .timeLimit(.minutes(1)), arguments: ["earliest", "available"])
    func words(_ word: String) async throws {
        let server = ScriptedServer([
            .stream("retry: 100\n\n"), .stream("id: 7\ndata: a\n\n"), .whole("204 No Content"),
        ])
        let source = try EventSource(
            await server.start() + "/events?x=1", topics: ["a b"], client: "c", lastEventID: word)
        for try await _ in source {}
        let target = "GET /events?x=1&topic=a%20b&client=c&last_event_id=\(word) HTTP/1.1\r\n"
        #expect(server.requests.map { $0.hasPrefix(target) } == [true, true, true])
        #expect(server.requests.map { $0.contains("Last-Event-ID") } == [false, false, true])
        #expect(server.requests[2].contains("Last-Event-ID: 7\r\n"))
    }

    @Test("An id goes into the header, and headers and a token are sent", .timeLimit(.minutes(1)))
    func headers() async throws {
        let server = ScriptedServer([.whole("204 No Content")])
        let source = try EventSource(
            await server.start(), topics: ["t"], lastEventID: "5-0", headers: [("Accept", "x"), ("A", "b")],
            token: "secret")
        #expect(try await updates(source) == [])
        let request = server.requests[0]
        #expect(request.hasPrefix("GET /events?topic=t HTTP/1.1\r\n"))
        for field in ["Last-Event-ID: 5-0", "Accept: x", "A: b", "Authorization: Bearer secret"] {
            #expect(request.contains("\r\n\(field)\r\n"))
        }
    }

    @Test(
        "An answer that is no stream ends it, and says why", .timeLimit(.minutes(1)),
        arguments: [
            ("403 Forbidden", "", #"{"message":"not yours"}"#, "the server answered 403 Forbidden: not yours"),
            ("503 Service Unavailable", "", "x", "the server answered 503 Service Unavailable"),
            ("302 Found", "Location: /x\r\n", "", "the server answered 302 Found; it points to /x"),
            ("200 OK", "Content-Type: text/html\r\n", "x", "is not an event stream: text/html"),
        ])
    func refusal(status: String, headers: String, body: String, expected: String) async throws {
        let server = ScriptedServer([.whole(status, headers, body)])
        let source = try EventSource(await server.start())
        let error = await #expect(throws: ClientError.self) { try await updates(source) }
        #expect(error?.description.hasSuffix(expected) == true, "\(String(describing: error))")
        #expect(server.requests.count == 1)
    }

    @Test("A connection over which nothing comes is given up", .timeLimit(.minutes(1)))
    func silence() async throws {
        var silent = Answer.stream(":\nretry: 100\n\n")
        silent.closes = false
        let server = ScriptedServer([silent, .whole("204 No Content")])
        let all = try await updates(EventSource(server.start(), silence: .milliseconds(1100)))
        #expect(
            all.last == .disconnected(failure: "nothing came for 1 s", wait: .milliseconds(100), isNews: true))
    }

    @Test("A slow reader holds the server back, and gets everything in the end", .timeLimit(.minutes(2)))
    func slowReader() async throws {
        let event = "data: " + String(repeating: "x", count: 1000) + "\n\n"
        let server = ScriptedServer([
            Answer(text: Answer.streamHead + "\r\n", flood: String(repeating: event, count: 100))
        ])
        let silence = Duration.seconds(2)
        let source = try EventSource(await server.start(), silence: silence)
        var taken = 0
        var before = -1
        for try await event in source {
            #expect(event.data.utf8.count == 1000)
            taken += 1
            if taken == 1 {
                // Until the network is full.
                while server.flooded != before, server.flooded < 64 << 20 {
                    before = server.flooded
                    try await Task.sleep(for: .milliseconds(500))
                }
                try await Task.sleep(for: silence)
                #expect(server.closed == 0, "what is not read can't be heard: it must not be taken for silence")
            }
            if server.flooded > before + 1 << 20 { break }
            #expect(taken < 100_000)
        }
        #expect(before < 64 << 20)
        #expect(
            await eventually { server.closed == server.opened }, "the end of the iteration is that of the connection")
    }

    @Test("Nothing is left of a subscription that is given up while it connects", .timeLimit(.minutes(1)))
    func cancellation() async throws {
        var answer = Answer.stream(":\n\n")
        answer.closes = false
        let server = ScriptedServer([answer])
        let source = try EventSource(await server.start())
        for _ in 0..<20 {
            let subscriber = Task { for try await _ in source { break } }
            subscriber.cancel()
            _ = await subscriber.result
        }
        #expect(await eventually { server.opened == server.closed && server.opened > 0 })
    }

    @Test("What is no address or no header is refused")
    func refusesNonsense() {
        #expect(throws: ClientError.self) { try EventSource("ftp://127.0.0.1") }
        #expect(throws: ClientError.self) { try EventSource("http://127.0.0.1", headers: [("a\r\nb", "c")]) }
        #expect(throws: ClientError.self) { try EventSource("http://127.0.0.1", token: "a\r\nb") }
        #expect(throws: ClientError.self) { try EventSource("https://127.0.0.1", certificateAuthority: "/nonexistent") }
    }
}
