// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

extension NodeTests {
    @Suite("serves many clients over one connection of a load balancer")
    struct HTTP2ResetTests {
        @Test(
            "Clients that leave their streams, as many as there are, end nobody else's", .timeLimit(.minutes(1)))
        func leaving() async throws {
            let test = try await TestNode.start(.memory, ["--open-rate", "10000"])
            let client = try await HTTP2Client(port: test.port)
            let stays = client.open("GET", "/events?topic=k")
            #expect(await eventually { client[stays].answer?.status == 200 })
            for _ in 0..<15 {
                let leaving = (0..<50).map { _ in client.open("GET", "/events?topic=x") }
                let areOpen = await eventually { leaving.allSatisfy { client[$0].answer?.status == 200 } }
                try #require(areOpen && !client.isEnded)
                for stream in leaving { client.reset(stream) }
                #expect(await eventually { try await test.node.metric("streams") == 1 })
            }
            _ = try await client.request("GET", "/healthz")
            try await test.publish(#"{"topic":"k","data":"still here"}"#)
            #expect(await eventually { String(decoding: client[stays].body, as: UTF8.self).contains("still here") })
            #expect(client.goAways.isEmpty && !client.isEnded)
        }

        @Test(
            "A PING with every reset, as Go's client sends it, and PRIORITY are no attack", .timeLimit(.minutes(1)))
        func control() async throws {
            let test = try await TestNode.start(.memory)
            let client = try await HTTP2Client(port: test.port)
            for _ in 0..<8 {
                for stream in 0..<50 {
                    client.send(
                        HTTP2Frame(.ping, Array(repeating: 0, count: 8)),
                        HTTP2Frame(.priority, stream: 2 * stream + 1001, [0, 0, 0, 0, 1]))
                }
                #expect(try await client.request("GET", "/healthz").status == 200)
            }
            #expect(client.goAways.isEmpty && client.pongs == 400)
        }

        @Test(
            "The goodbye to an attacker names the last request that was taken, so that none is sent again",
            .timeLimit(.minutes(1)))
        func goodbye() async throws {
            let test = try await TestNode.start(.memory)
            let client = try await HTTP2Client(port: test.port)
            let published = try await client.request(
                "POST", "/publish", headers: ["Content-Type": "application/json"],
                body: Array(#"{"topic":"a","data":"once"}"#.utf8))
            #expect(published.status == 200)
            client.send(
                (0..<1000).flatMap { _ in
                    let stream = client.newStream()
                    return HTTP2Frame.headers(stream: stream, client.fields("GET", "/events?topic=a")).bytes
                        + HTTP2Frame.reset(stream: stream, .cancel).bytes
                })
            #expect(await eventually { client.isEnded })
            if let goodbye = client.goAways.last {
                #expect(goodbye.code == .enhanceYourCalm)
                #expect((257...2001).contains(goodbye.lastStream), "\(goodbye)")
            }
        }

        @Test(
            "Uploads that are refused are told to stop without an error, and what is under way of them breaks nothing",
            .timeLimit(.minutes(1)))
        func refusedUploads() async throws {
            let test = try await TestNode.start(.memory)
            let client = try await HTTP2Client(port: test.port)
            let stays = client.open("GET", "/events?topic=k")
            #expect(await eventually { client[stays].answer?.status == 200 })
            var late: [Int] = []
            for _ in 0..<3 {
                let uploads = (0..<100).map { _ in client.newStream() }
                for stream in uploads {
                    let fields = client.fields("POST", "/publish", ["Content-Length": "100000000"])
                    client.send(.headers(stream: stream, fields, endStream: false))
                    client.send(HTTP2Frame(.data, stream: stream, Array(repeating: 0x20, count: 100)))
                }
                #expect(await eventually { uploads.allSatisfy { client[$0].isEnded && client[$0].reset != nil } })
                #expect(uploads.allSatisfy { client[$0].answer?.status == 413 && client[$0].reset == .noError })
                late = uploads
            }
            // Sent before the client had heard of it.
            for stream in late { client.send(HTTP2Frame(.data, stream: stream, Array(repeating: 0x20, count: 100))) }
            #expect(try await client.request("GET", "/healthz").status == 200)
            try await test.publish(#"{"topic":"k","data":"still here"}"#)
            #expect(await eventually { String(decoding: client[stays].body, as: UTF8.self).contains("still here") })
            #expect(client.goAways.isEmpty && !client.isEnded)
        }
    }
}
