// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("limits connections")
    struct ConnectionLimitTests {
        /// Opens connections that say nothing, and returns those that are still open a moment later.
        private func open(_ count: Int, _ port: Int, preamble: String = "") async throws -> [RawSocket] {
            var sockets: [RawSocket] = []
            for _ in 0..<count {
                let socket = try await RawSocket(port: port)
                if !preamble.isEmpty { try? await socket.send(preamble) }
                sockets.append(socket)
            }
            try await Task.sleep(for: .milliseconds(300))
            return sockets.filter { if case .nothing = $0.read() { true } else { false } }
        }

        private func holds(_ node: NodeProcess, max: Int) async throws {
            for round in 1...3 {
                var kept: [RawSocket] = []
                for second in 0..<2 {
                    kept += try await open(max + 4, node.port)
                    #expect(kept.count == max, "round \(round), second \(second)")
                    try await Task.sleep(for: .milliseconds(700))
                }
                #expect(try await node.metric("connections_refused_total") == round * (max + 8))
                for socket in kept { socket.close() }
                #expect(await eventually { try await node.metric("connections") == 0 })
            }
            #expect(try await request(node.adminPort, "GET", "/healthz").status == 200)
        }

        @Test(
            "Connections beyond --max-connections are closed at once, the admin's are not, and room comes back",
            .timeLimit(.minutes(1)))
        func perNode() async throws {
            try await holds(try await NodeProcess(["--max-connections", "6"]), max: 6)
        }

        @Test(
            "Connections of one address that are no streams have its streams' limit, too",
            .timeLimit(.minutes(1)))
        func perAddress() async throws {
            try await holds(try await NodeProcess(["--max-streams-per-address", "5"]), max: 5)
        }

        @Test("No more connections of an address come in a second than --connection-rate says", .timeLimit(.minutes(1)))
        func rate() async throws {
            let node = try await NodeProcess(["--connection-rate", "2", "--proxy-protocol"])
            let begin = ContinuousClock.now
            for (number, address) in ["203.0.113.7", "203.0.113.8"].enumerated() {
                let kept = try await open(9, node.port, preamble: "PROXY TCP4 \(address) 127.0.0.1 1 80\r\n")
                let seconds = (ContinuousClock.now - begin) / .seconds(1)
                #expect(kept.count >= 2 && Double(kept.count) <= 2 * (seconds + 1) + 1)
                #expect(try await node.metric("connections_refused_total") >= 7 * number)
                for socket in kept { socket.close() }
            }
            #expect(node.output.contains("limit=--connection-rate"))
            #expect(try await request(node.adminPort, "GET", "/healthz").status == 200)
        }

        @Test("The address that counts is the one in the PROXY header", .timeLimit(.minutes(1)))
        func perProxiedAddress() async throws {
            let node = try await NodeProcess(["--max-streams-per-address", "5", "--proxy-protocol"])
            for round in 1...3 {
                var kept: [[RawSocket]] = []
                for address in ["203.0.113.7", "203.0.113.8"] {
                    kept.append(try await open(9, node.port, preamble: "PROXY TCP4 \(address) 127.0.0.1 1 80\r\n"))
                }
                #expect(kept.map(\.count) == [5, 5], "round \(round)")
                #expect(try await node.metric("connections_refused_total") == round * 8)
                for socket in kept.joined() { socket.close() }
                #expect(await eventually { try await node.metric("connections") == 0 })
            }
        }

        @Test("Streams count as connections, and a trusted proxy's are not one address'", .timeLimit(.minutes(1)))
        func streamsCount() async throws {
            let node = try await NodeProcess([
                "--max-connections", "6", "--max-streams-per-address", "2", "--trusted-proxy", "127.0.0.1",
            ])
            var open: [Knock] = []
            for number in 0..<9 {
                open.append(
                    try await Knock(
                        node.port, "/events?topic=a", headers: [("X-Forwarded-For", "203.0.113.\(number)")]))
            }
            #expect(open.count { $0.fate == .stream } == 6)
            #expect(open.count { $0.fate == .closed } == 3)
        }

        private static let proxyHeader = Array("PROXY TCP4 203.0.113.7 127.0.0.1 5000 80\r\n".utf8)

        @Test(
            "With --proxy-protocol the header is believed, and with a list of proxies only from those",
            .timeLimit(.minutes(1)),
            arguments: [
                ([], true), (["--trusted-proxy", "127.0.0.1"], true), (["--trusted-proxy", "127.0.0.0/8"], true),
                (["--trusted-proxy", "10.0.0.0/8"], false), (["--trusted-proxy", "127.0.0.2"], false),
                (["--trusted-proxy", "::1"], false),
            ])
        func proxyPeers(arguments: [String], isTaken: Bool) async throws {
            let node = try await NodeProcess(["--proxy-protocol"] + arguments)
            let knock = try await Knock(node.port, "/events?topic=a", preamble: ConnectionLimitTests.proxyHeader)
            #expect(knock.fate == (isTaken ? .stream : .closed))
            // Without a header, or with something like one, nobody is served.
            for preamble in [
                "", "PROXY TCP4 203.0.113.7\r\n", "proxy tcp4 1.1.1.1 1.1.1.1 1 1\r\n", "\u{16}\u{3}\u{1}",
            ] {
                let knock = try await Knock(node.port, "/healthz", preamble: Array(preamble.utf8))
                #expect(knock.fate == .closed, "\(preamble)")
            }
            #expect(try await node.metric("connections_refused_total") == (isTaken ? 4 : 5))
            #expect(await eventually { try await node.metric("connections") == (isTaken ? 1 : 0) })
        }

        @Test("Without --proxy-protocol such a header is no HTTP, and says nothing", .timeLimit(.minutes(1)))
        func noProxy() async throws {
            let node = try await NodeProcess(["--trusted-proxy", "127.0.0.1"])
            let knock = try await Knock(node.port, "/events?topic=a", preamble: ConnectionLimitTests.proxyHeader)
            #expect(knock.fate == .answered(400))
        }
    }
}
