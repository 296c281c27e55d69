// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    /// What an honest client sends fits into the limits as they are delivered.
    @Suite("takes what honest clients send")
    struct RequestSizeTests {
        private static let names: [String] = [
            String(repeating: "a", count: 252),  // and three digits
            String(repeating: "%C3%A4", count: 48),
        ]

        @Test(
            "As many topics as a stream may have fit, of 255 plain bytes or of 100 that are percent-encoded",
            .timeLimit(.minutes(1)), arguments: names)
        func topics(name: String) async throws {
            let node = try await NodeProcess()
            let target = "/events?" + (100..<200).map { "topic=\(name)\($0)" }.joined(separator: "&")
            #expect(try await request(node.port, "HEAD", target).status == 200)
            let client = try await HTTP2Client(port: node.port)
            // Until its settings are acknowledged the node takes 16 KiB, which is what the protocol begins with here.
            #expect(await eventually { !client.settings.isEmpty })
            let stream = client.newStream()
            client.send(HTTP2Frame.longHeaders(stream: stream, HTTP2Frame.block(client.fields("HEAD", target))))
            #expect(await eventually { client[stream].answer?.status == 200 })
            let more = try await request(node.port, "HEAD", "\(target)&topic=one-more")
            #expect(more.status == 400)
        }

        @Test(
            "Cookies that HTTP/2 splits into fields are one field, for the limits and for the token",
            .timeLimit(.minutes(1)), arguments: [3, 95, 200])
        func cookieCrumbs(count: Int) async throws {
            let guarded = try await GuardedNode()
            let token = try #require(try await Visitor.subscriber.token())
            let client = try await HTTP2Client(port: guarded.port)
            var fields = client.fields("HEAD", "/events?topic=news")
            fields += (0..<12).map { ("x-other-\($0)", "value") }
            fields += (0..<count).map { ("cookie", "cookie\($0)=vvvvvvvvvv") } + [("cookie", "sluice_token=\(token)")]
            let stream = client.newStream()
            client.send(.headers(stream: stream, fields))
            #expect(await eventually { client[stream].answer?.status == 200 })
            // The other fields are counted as before.
            let crowded = client.newStream()
            client.send(.headers(stream: crowded, fields + (0..<90).map { ("y-\($0)", "") }))
            #expect(await eventually { client[crowded].answer?.status == 431 })
        }

        @Test("A field over --max-header is refused over HTTP/2, too", .timeLimit(.minutes(1)))
        func longField() async throws {
            let node = try await NodeProcess(["--max-header", "1KiB"])
            let client = try await HTTP2Client(port: node.port)
            for (bytes, status) in [(1000, 200), (1100, 431)] {
                let fields = client.fields("GET", "/healthz") + [("x-long", String(repeating: "x", count: bytes))]
                let stream = client.newStream()
                client.send(.headers(stream: stream, fields))
                #expect(await eventually { client[stream].answer?.status == status })
            }
        }
    }
}
