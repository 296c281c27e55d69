// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("refuses so that the refusal arrives")
    struct LingeringCloseTests {
        /// Sends all of a request before it reads, as many libraries do, which read nothing if they can't send all.
        private func upload(
            _ port: Int, _ fields: String, bytes: Int
        ) async throws -> (answer: String, isSent: Bool) {
            let socket = try await RawSocket(port: port)
            let isSent =
                (try? await socket.send(RawRequest.post(fields, String(repeating: "x", count: bytes)))) != nil
            return (String(decoding: try await socket.receiveAll(), as: UTF8.self), isSent)
        }

        @Test("A client that is still sending gets the whole answer, and then the end", .timeLimit(.minutes(1)))
        func stillSending() async throws {
            let test = try await TestNode.start(.memory, ["--max-body", "64KiB"])
            let size = 8 << 20
            let cases: [(fields: String, status: Int)] = [
                ("Content-Length: \(size)\r\n", 413), ("Transfer-Encoding: gzip, chunked\r\n", 501),
                ("Content-Length: x\r\n", 400), ("X: \(String(repeating: "x", count: 40_000))\r\n", 431),
            ]
            for (fields, status) in cases {
                let (answer, isSent) = try await upload(test.port, fields, bytes: size)
                #expect(isSent, "\(fields.prefix(40))")
                #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(fields.prefix(40)): \(answer.prefix(100))")
                #expect(answer.contains("\r\nConnection: close\r\n") && answer.hasSuffix("}"), "\(fields.prefix(40))")
            }
            #expect(await eventually { try await test.node.metric("connections") == 0 })
        }

        @Test("It takes no more than some megabytes, and waits for no more than some seconds", .timeLimit(.minutes(1)))
        func bounded() async throws {
            let test = try await TestNode.start(.memory, ["--max-body", "4KiB", "--threads", "1"])
            let before = test.node.memory
            let endless = try await RawSocket(port: test.port)
            try await endless.send(RawRequest.post("Content-Length: 10000000000\r\n", ""))
            let megabyte = Array(repeating: UInt8(ascii: "x"), count: 1 << 20)
            var sent = 0
            while sent < 200, (try? await endless.send(megabyte)) != nil { sent += 1 }
            #expect((16..<64).contains(sent))
            #expect(test.node.memory - before < 8 << 20)
            let silent = try await RawSocket(port: test.port)
            try await silent.send(RawRequest.post("Content-Length: 10000000000\r\n", ""))
            _ = try await silent.receiveAll()
            #expect(await eventually { try await test.node.metric("connections") == 0 })
        }

        @Test(
            "It arrives through the load balancers that are delivered", .timeLimit(.minutes(1)),
            arguments: LoadBalancer.Kind.allCases)
        func throughLoadBalancer(kind: LoadBalancer.Kind) async throws {
            let directory = try Repository.temporaryDirectory()
            defer { try? FileManager.default.removeItem(atPath: directory) }
            let key = "\(directory)/key"
            try "0123456789abcdefghijklmnopqrstuvwxyz".write(toFile: key, atomically: true, encoding: .utf8)
            let test = try await TestNode.start(
                .memory, ["--auth", "jwt", "--jwt-key", key, "--trusted-proxy", "127.0.0.1"])
            let balancer = try await LoadBalancer(kind, nodePorts: [test.port])
            let size = 4 << 20
            for _ in 0..<8 {
                let (answer, _) = try await upload(
                    balancer.port, "Connection: close\r\nAuthorization: Bearer a.b.c\r\nContent-Length: \(size)\r\n",
                    bytes: size)
                #expect(answer.hasPrefix("HTTP/1.1 401 ") && answer.contains("unauthorized"), "\(answer.prefix(200))")
            }
        }
    }
}
