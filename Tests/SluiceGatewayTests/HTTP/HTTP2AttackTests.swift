// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("survives HTTP/2 that is meant to hurt")
    struct HTTP2AttackTests {
        /// What is sent after the connection's first frames, and how the connection ends for it.
        private struct Attack: Sendable {
            let name: String
            let codes: Set<HTTP2Frame.Code>
            let frames: @Sendable (HTTP2Client) -> [UInt8]
        }

        private static func resets(topic: String) -> Attack {
            Attack(name: "1,000 streams that are reset at once (CVE-2023-44487)", codes: [.enhanceYourCalm]) { client in
                (0..<1000).flatMap { _ in
                    let stream = client.newStream()
                    return HTTP2Frame.headers(stream: stream, client.fields("GET", "/events?topic=\(topic)")).bytes
                        + HTTP2Frame.reset(stream: stream, .cancel).bytes
                }
            }
        }

        private static let attacks: [Attack] = [
            resets(topic: "a"),
            // Of which the node knows all that a stream needs, so that it could begin before it is reset.
            resets(topic: "honest"),
            Attack(name: "a header block that never ends (CONTINUATION)", codes: [.enhanceYourCalm]) { client in
                HTTP2Frame(.headers, flags: .endStream, stream: 1, HTTP2Frame.block(client.fields("GET", "/"))).bytes
                    + (0..<1000).flatMap { _ in
                        HTTP2Frame(.continuation, stream: 1, HTTP2Frame.block([("x", "y")])).bytes
                    }
            },
            Attack(name: "empty CONTINUATION frames without end", codes: [.enhanceYourCalm]) { client in
                HTTP2Frame(.headers, flags: .endStream, stream: 1, HTTP2Frame.block(client.fields("GET", "/"))).bytes
                    + (0..<1000).flatMap { _ in HTTP2Frame(.continuation, stream: 1).bytes }
            },
            Attack(name: "a flood of PING (CVE-2019-9512)", codes: [.enhanceYourCalm]) { _ in
                (0..<20_000).flatMap { _ in HTTP2Frame(.ping, Array(repeating: 0, count: 8)).bytes }
            },
            Attack(name: "a flood of SETTINGS (CVE-2019-9515)", codes: [.enhanceYourCalm]) { _ in
                (0..<20_000).flatMap { _ in HTTP2Frame(.settings).bytes }
            },
            Attack(name: "a flood of PRIORITY (CVE-2019-9513)", codes: [.enhanceYourCalm]) { _ in
                (0..<20_000).flatMap { _ in HTTP2Frame(.priority, stream: 1, [0, 0, 0, 3, 1]).bytes }
            },
            Attack(name: "1,000 malformed requests", codes: [.enhanceYourCalm]) { client in
                (0..<1000).flatMap { _ in
                    HTTP2Frame.headers(stream: client.newStream(), client.fields("GET", "/") + [("x y", "z")]).bytes
                }
            },
            Attack(name: "empty DATA without end (CVE-2019-9518)", codes: [.enhanceYourCalm]) { client in
                HTTP2Frame.headers(stream: 1, client.fields("POST", "/publish"), endStream: false).bytes
                    + (0..<1000).flatMap { _ in HTTP2Frame(.data, stream: 1).bytes }
            },
            Attack(name: "header fields over --max-headers", codes: [.protocolError, .compressionError]) { client in
                let fields = (0..<12).map { ("x-\($0)", String(repeating: "y", count: 5000)) }
                let block = HTTP2Frame.block(client.fields("GET", "/") + fields)
                let parts = stride(from: 0, to: block.count, by: 16384).map { Array(block[$0...].prefix(16384)) }
                return HTTP2Frame(.headers, flags: .endStream, stream: 1, parts[0]).bytes
                    + parts[1...].dropLast().flatMap { HTTP2Frame(.continuation, stream: 1, $0).bytes }
                    + HTTP2Frame(.continuation, flags: .endHeaders, stream: 1, parts[parts.count - 1]).bytes
            },
            Attack(
                name: "a small block that unpacks to megabytes (HPACK bomb)",
                codes: [.protocolError, .compressionError]
            ) {
                client in
                // One field of 4,000 bytes goes into the table, and is named 4,000 times.
                let field =
                    [0x40, 1, UInt8(ascii: "x"), 127, 0xA1, 0x1E] + Array(repeating: UInt8(ascii: "y"), count: 4000)
                let block = HTTP2Frame.block(client.fields("GET", "/")) + field + Array(repeating: 0xBE, count: 4000)
                return HTTP2Frame(.headers, flags: [.endHeaders, .endStream], stream: 1, block).bytes
            },
            Attack(name: "garbage where a header block should be", codes: [.compressionError]) { _ in
                HTTP2Frame(
                    .headers, flags: [.endHeaders, .endStream], stream: 1, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]
                ).bytes
            },
            Attack(name: "a field without a name", codes: [.protocolError, .compressionError, .internalError]) {
                client in
                HTTP2Frame.headers(stream: 1, client.fields("GET", "/") + [("", "x")]).bytes
            },
            Attack(name: "a frame larger than allowed", codes: [.frameSizeError]) { _ in
                HTTP2Frame(.data, stream: 1, Array(repeating: 0, count: 16385)).bytes
            },
            Attack(name: "a SETTINGS frame of odd length", codes: [.frameSizeError]) { _ in
                HTTP2Frame(.settings, [0, 1, 2]).bytes
            },
            Attack(name: "a window of more than 31 bits", codes: [.flowControlError]) { _ in
                HTTP2Frame.windowUpdate(stream: 0, by: 0x7FFF_FFFF).bytes
            },
            Attack(name: "a window update of nothing", codes: [.protocolError]) { _ in
                HTTP2Frame.windowUpdate(stream: 0, by: 0).bytes
            },
            Attack(name: "a stream that is the node's to open", codes: [.protocolError]) { client in
                HTTP2Frame.headers(stream: 2, client.fields("GET", "/")).bytes
            },
            Attack(name: "a stream number that goes back", codes: [.protocolError, .streamClosed]) { client in
                HTTP2Frame.headers(stream: 9, client.fields("GET", "/")).bytes
                    + HTTP2Frame.headers(stream: 3, client.fields("GET", "/")).bytes
            },
            Attack(name: "a pushed stream", codes: [.protocolError]) { client in
                HTTP2Frame.headers(stream: 1, client.fields("GET", "/"), endStream: false).bytes
                    + HTTP2Frame(
                        .pushPromise, flags: .endHeaders, stream: 1,
                        [0, 0, 0, 2] + HTTP2Frame.block(client.fields("GET", "/"))
                    )
                    .bytes
            },
            Attack(name: "HTTP/1 behind the preface", codes: [.frameSizeError, .protocolError]) { _ in
                Array(String(repeating: RawRequest.get(), count: 20).utf8)
            },
        ]

        @Test(
            "Each ends its own connection with GOAWAY, and nothing stays behind; a stream on another goes on",
            .timeLimit(.minutes(2)))
        func attacks() async throws {
            let test = try await TestNode.start(.memory, ["--threads", "1"])
            let honest = try await test.stream("/events?topic=honest")
            let before = test.node.memory
            for attack in HTTP2AttackTests.attacks {
                let client = try await HTTP2Client(port: test.port)
                #expect(await eventually { !client.settings.isEmpty })
                client.send(attack.frames(client))
                #expect(await eventually(within: 5) { client.isEnded }, "\(attack.name): the connection goes on")
                // A reset may overtake it where the node has not read all.
                if let code = client.goAways.last?.code {
                    #expect(attack.codes.contains(code), "\(attack.name): \(code)")
                }
                #expect(await eventually { try await test.node.metric("connections") == 1 }, "\(attack.name)")
            }
            #expect(await eventually { try await test.node.metric("streams") == 1 })
            try await test.publish(#"{"topic":"honest","data":"x"}"#)
            #expect(await honest.receives(1))
            #expect(honest.now.openings == 1)
            #expect(test.node.memory - before < 32 << 20)
        }

        private struct Malformed: Sendable {
            let name: String
            let fields: [(String, String)]
            /// nil: the stream is reset.
            var status: Int?
        }

        private static let get = [
            (":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/healthz"),
        ]

        private static let malformed: [Malformed] = [
            Malformed(name: "no :method", fields: get.filter { $0.0 != ":method" }),
            Malformed(name: "no :scheme", fields: get.filter { $0.0 != ":scheme" }),
            Malformed(name: "no :path", fields: get.filter { $0.0 != ":path" }),
            Malformed(name: "no :authority and no Host", fields: get.filter { $0.0 != ":authority" }, status: 400),
            Malformed(name: "an empty :path", fields: get.filter { $0.0 != ":path" } + [(":path", "")]),
            Malformed(name: "two :path", fields: get + [(":path", "/")]),
            Malformed(name: "two :method", fields: get + [(":method", "GET")]),
            Malformed(name: "a pseudo field of an answer", fields: get + [(":status", "200")]),
            Malformed(name: "a pseudo field that nobody knows", fields: get + [(":other", "x")]),
            Malformed(name: "a pseudo field behind others", fields: [("x", "y")] + get),
            Malformed(name: "a name in capitals", fields: get + [("X-Capital", "y")]),
            Malformed(name: "a name with a space", fields: get + [("x y", "z")]),
            Malformed(name: "CR LF in a value", fields: get + [("x", "a\r\nb: c")]),
            Malformed(name: "NUL in a value", fields: get + [("x", "a\0b")]),
            Malformed(name: "CR LF in :path", fields: get.filter { $0.0 != ":path" } + [(":path", "/\r\nx: y")]),
            Malformed(name: "Connection", fields: get + [("connection", "close")]),
            Malformed(name: "Keep-Alive", fields: get + [("keep-alive", "1")]),
            Malformed(name: "Proxy-Connection", fields: get + [("proxy-connection", "close")]),
            Malformed(name: "Transfer-Encoding", fields: get + [("transfer-encoding", "chunked")]),
            Malformed(name: "Upgrade", fields: get + [("upgrade", "websocket")]),
            Malformed(name: "TE other than trailers", fields: get + [("te", "gzip")]),
            Malformed(name: "a Content-Length that is not the body's", fields: get + [("content-length", "5")]),
            Malformed(name: "Content-Length twice", fields: get + [("content-length", "0"), ("content-length", "1")]),
            Malformed(name: "a Content-Length that is no number", fields: get + [("content-length", "0x0")]),
            Malformed(name: ":authority and another Host", fields: get + [("host", "b")], status: 400),
            Malformed(
                name: "an :authority that is no host",
                fields: get.filter { $0.0 != ":authority" } + [(":authority", "a/b")],
                status: 400),
            Malformed(
                name: "more fields than --max-header-count", fields: get + (0..<150).map { ("x-\($0)", "y") },
                status: 431),
            Malformed(
                name: "a :path over --max-target",
                fields: get.filter { $0.0 != ":path" } + [(":path", "/" + String(repeating: "x", count: 9000))],
                status: 414),
            Malformed(name: "Host alone", fields: get.filter { $0.0 != ":authority" } + [("host", "a")], status: 200),
            Malformed(name: ":authority and the same Host", fields: get + [("host", "a")], status: 200),
            Malformed(name: "TE: trailers", fields: get + [("te", "trailers")], status: 200),
            Malformed(
                name: "a method that nobody knows", fields: [(":method", "MADEUP")] + get.dropFirst(), status: 405),
        ]

        @Test(
            "A malformed request is reset or refused, and the connection's other streams go on",
            .timeLimit(.minutes(1)))
        func malformed() async throws {
            let test = try await TestNode.start(.memory, ["--max-target", "8KiB"])
            let client = try await HTTP2Client(port: test.port)
            var options = test.over()
            options.connection = client
            let honest = try await test.stream("/events?topic=honest", options)
            for request in HTTP2AttackTests.malformed {
                let stream = client.newStream()
                client.send(.headers(stream: stream, request.fields))
                let isAnswered = await eventually(within: 5) { client[stream].isOver }
                try #require(isAnswered && !client.isEnded, "\(request.name)")
                #expect(client[stream].answer?.status == request.status, "\(request.name): \(client[stream])")
                if request.status == nil { #expect(client[stream].reset != nil, "\(request.name)") }
            }
            #expect(client.goAways.isEmpty && !client.isEnded)
            try await test.publish(#"{"topic":"honest","data":"x"}"#)
            #expect(await honest.receives(1))
            #expect(honest.now.openings == 1)
            #expect(try await test.node.metric("streams") == 1)
            #expect(try await test.node.metric("connections") == 1)
        }

        @Test("A preface that is none, or never ends, is closed", .timeLimit(.minutes(1)))
        func preface() async throws {
            let test = try await TestNode.start(.memory, ["--idle-timeout", "1s"])
            var options = HTTP2Client.Options()
            options.sendsPreface = false
            for text in [
                "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "PRI * HTTP/1.1\r\nHost: a\r\n\r\n", "PRI * HTTP/2.0", "PRI",
            ] {
                let client = try await HTTP2Client(port: test.port, options)
                client.send(Array(text.utf8))
                #expect(await eventually(within: 12) { client.isEnded }, "\(text)")
            }
            #expect(await eventually { try await test.node.metric("connections") == 0 })
        }
    }
}
