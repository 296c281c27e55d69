// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("speaks TLS")
    struct TLSTests {
        @Test(
            "TLS 1.2 and 1.3 are spoken, TLS 1.1 is not", .timeLimit(.minutes(1)),
            arguments: SecureSocket.Version.allCases)
        func versions(version: SecureSocket.Version) async throws {
            let test = try await TestNode.start(.memory, over: .tlsHTTP11)
            if version == .tls11 {
                await #expect(throws: (any Error).self) {
                    _ = try await SecureSocket(port: test.port, version: version)
                }
                #expect(await eventually { try await test.node.metric("tls_handshakes_failed_total") == 1 })
            } else {
                let socket = try await SecureSocket(port: test.port, version: version)
                try await socket.send(RawRequest.get())
                let answer = String(decoding: try #require(try await socket.receive()), as: UTF8.self)
                #expect(answer.hasPrefix("HTTP/1.1 200 "))
            }
        }

        @Test("ALPN decides: h2 where it is offered, HTTP/1.1 where it is not", .timeLimit(.minutes(1)))
        func negotiation() async throws {
            let test = try await TestNode.start(.memory, over: .tlsHTTP2)
            let cases: [(offer: [String], choice: String?)] = [
                (["h2", "http/1.1"], "h2"), (["http/1.1", "h2"], "h2"), (["http/1.1"], "http/1.1"), ([], nil),
                (["spdy/3"], nil),
            ]
            for (offer, choice) in cases {
                let socket = try await SecureSocket(port: test.port, protocols: offer)
                #expect(socket.negotiated == choice, "\(offer)")
                if choice == "h2" { continue }
                try await socket.send(RawRequest.get())
                let answer = String(decoding: try #require(try await socket.receive()), as: UTF8.self)
                #expect(answer.hasPrefix("HTTP/1.1 200 "), "\(offer)")
            }
        }

        @Test(
            "What is no handshake, or does not end in time, is closed and counted; streams go on",
            .timeLimit(.minutes(1)))
        func noHandshake() async throws {
            let test = try await TestNode.start(.memory, over: .tlsHTTP11, ["--tls-timeout", "1s"])
            let stream = try await test.stream("/events?topic=t")
            let hello: [UInt8] = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03]
            let starts: [(name: String, bytes: [UInt8], isRefused: Bool)] = [
                ("plain HTTP", Array(RawRequest.get().utf8), true),
                ("garbage", Array(repeating: 0xA5, count: 3000), true),
                ("nothing", [], false), ("half a ClientHello", hello, false),
            ]
            for start in starts {
                let socket = try await RawSocket(port: test.port)
                try await socket.send(start.bytes)
                let began = ContinuousClock.now
                _ = try await socket.receiveAll(within: 5)
                #expect(start.isRefused == (ContinuousClock.now - began < .milliseconds(800)), "\(start.name)")
            }
            // A byte now and then does not help.
            let slow = try await RawSocket(port: test.port)
            let began = ContinuousClock.now
            while ContinuousClock.now - began < .seconds(10) {
                for byte in hello { try? await slow.send([byte]) }
                if case .end = slow.read() { break }
                if case .broken = slow.read() { break }
                try await Task.sleep(for: .milliseconds(100))
            }
            #expect(ContinuousClock.now - began < .seconds(4))
            #expect(try await test.node.metric("tls_handshakes_failed_total") >= 2)
            #expect(await eventually { try await test.node.metric("connections_timed_out_total") >= 2 })
            #expect(await eventually { try await test.node.metric("connections") == 1 })
            try await test.publish(#"{"topic":"t","data":"x"}"#)
            #expect(await stream.receives(1))
            #expect(stream.now.openings == 1)
        }

        @Test(
            "A new certificate is used from SIGHUP on, or soon without it; open streams keep the old one and go on",
            .timeLimit(.minutes(1)), arguments: [true, false])
        func renewal(hasSignal: Bool) async throws {
            let test = try await TestNode.start(.memory, over: .tlsHTTP2)
            let certificate = try #require(test.certificate)
            let stream = try await test.stream("/events?topic=t")
            let old = try await SecureSocket(port: test.port).certificate
            try await certificate.renew()
            if hasSignal { test.node.signal(SIGHUP) }
            #expect(
                await eventually(within: hasSignal ? 3 : 15) {
                    try await SecureSocket(port: test.port).certificate != old
                })
            #expect(try await test.node.metric("tls_certificates_loaded_total") == 1)
            try await test.publish(#"{"topic":"t","data":"x"}"#)
            #expect(await stream.receives(1))
            #expect(stream.now.openings == 1)
        }

        @Test("A new file that can't be used changes nothing, and an error says so", .timeLimit(.minutes(1)))
        func brokenRenewal() async throws {
            let test = try await TestNode.start(.memory, over: .tlsHTTP11)
            let certificate = try #require(test.certificate)
            let old = try await SecureSocket(port: test.port).certificate
            try "half a certif".write(toFile: certificate.certificateFile, atomically: true, encoding: .utf8)
            test.node.signal(SIGHUP)
            #expect(await eventually(within: 5) { test.node.output.contains("the old one stays") })
            #expect(test.node.output.contains("--tls-cert"))
            #expect(try await SecureSocket(port: test.port).certificate == old)
            try await certificate.renew()
            test.node.signal(SIGHUP)
            #expect(await eventually(within: 5) { try await SecureSocket(port: test.port).certificate != old })
        }

        @Test(
            "A certificate or a key that can't be used stops the start with one line that names it",
            .timeLimit(.minutes(1)))
        func badFiles() async throws {
            let one = try await TestCertificate()
            let other = try await TestCertificate()
            let cases: [(arguments: [String], name: String)] = [
                (["--tls-cert", "/does/not/exist", "--tls-key", one.keyFile], "--tls-cert"),
                (["--tls-cert", one.keyFile, "--tls-key", one.keyFile], "--tls-cert"),
                (["--tls-cert", one.certificateFile, "--tls-key", "/does/not/exist"], "--tls-key"),
                (["--tls-cert", one.certificateFile, "--tls-key", one.certificateFile], "--tls-key"),
                (["--tls-cert", one.certificateFile, "--tls-key", other.keyFile], "--tls-key"),
                (["--tls-cert", one.certificateFile], "--tls-key"), (["--tls-key", one.keyFile], "--tls-cert"),
            ]
            for test in cases {
                let process = try ChildProcess(
                    Repository.binary,
                    ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"] + test.arguments)
                #expect(await process.exitCode() == 64, "\(test.arguments)")
                let lines = process.output.split(separator: "\n")
                #expect(lines.count == 1 && process.output.contains(test.name), "\(test.arguments): \(process.output)")
            }
        }
    }
}
