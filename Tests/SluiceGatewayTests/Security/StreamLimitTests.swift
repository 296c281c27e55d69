// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("limits streams")
    struct StreamLimitTests {
        /// A way to ask for a stream.
        struct Opening: Sendable {
            var target = "/events?topic=public.a"
            var headers: [(String, String)] = []
            var preamble: [UInt8] = []

            func knock(_ port: Int) async throws -> Knock {
                try await Knock(port, target, headers: headers, preamble: preamble)
            }
        }

        struct Limit: Sendable, CustomTestStringConvertible {
            let testDescription: String
            let arguments: [String]
            let max: Int
            let metric: String
            /// All of these count together.
            let counted: @Sendable (_ number: Int) -> Opening
            /// This one does not; nil: everything counts.
            var uncounted: Opening?
        }

        private static func forwarded(_ value: String, _ name: String = "X-Forwarded-For") -> Opening {
            Opening(headers: [(name, value)])
        }

        private static func line(_ source: String) -> Opening {
            let family = source.contains(":") ? "TCP6" : "TCP4"
            let here = source.contains(":") ? "::1" : "127.0.0.1"
            return Opening(preamble: Array("PROXY \(family) \(source) \(here) 5000 80\r\n".utf8))
        }

        /// Version 2, TCP over IPv4.
        private static func block(_ source: [UInt8]) -> Opening {
            Opening(
                preamble: [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, 0x21, 0x11, 0, 12]
                    + source + [127, 0, 0, 1, 0x13, 0x88, 0, 80])
        }

        private static let perAddress = ["--max-streams-per-address", "4"]
        private static let behindProxy = perAddress + ["--trusted-proxy", "127.0.0.1"]
        private static let shedByAddress = "streams_shed_total{reason=\"address\"}"

        static let limits: [Limit] = [
            Limit(
                testDescription: "--max-streams", arguments: ["--max-streams", "5"], max: 5,
                metric: "streams_shed_total"
            ) { Opening(target: "/events?topic=public.\($0)") },
            Limit(
                testDescription: "--max-streams-per-address: loopback counts once it is set", arguments: perAddress,
                max: 4, metric: shedByAddress
            ) { Opening(target: "/events?topic=public.\($0)") },
            Limit(
                testDescription: "--max-streams-per-address: nobody is trusted, so X-Forwarded-For is a lie",
                arguments: perAddress, max: 4, metric: shedByAddress
            ) { forwarded("203.0.113.\($0)") },
            Limit(
                testDescription: "--max-streams-per-address: only another peer is trusted",
                arguments: perAddress + ["--trusted-proxy", "10.0.0.0/8"], max: 4, metric: shedByAddress
            ) { forwarded("203.0.113.\($0)", "Forwarded") },
            Limit(
                testDescription: "--max-streams-per-address: X-Forwarded-For of a trusted proxy",
                arguments: behindProxy, max: 4, metric: shedByAddress,
                counted: { forwarded("10.1.1.\($0), 203.0.113.7") }, uncounted: forwarded("203.0.113.7, 203.0.113.8")),
            Limit(
                testDescription: "--max-streams-per-address: Forwarded of a trusted proxy", arguments: behindProxy,
                max: 4, metric: shedByAddress,
                counted: { forwarded("for=10.1.1.\($0), for=203.0.113.7;proto=https", "Forwarded") },
                uncounted: forwarded("for=203.0.113.8", "Forwarded")),
            Limit(
                testDescription: "--max-streams-per-address: an IPv6 /64 is one", arguments: behindProxy, max: 4,
                metric: shedByAddress, counted: { forwarded("2001:db8:1:1:\($0)::\($0)") },
                uncounted: forwarded("2001:db8:1:2::1")),
            Limit(
                testDescription: "--max-streams-per-address: what can't be read counts under the proxy's address",
                arguments: behindProxy, max: 4, metric: shedByAddress,
                counted: { number in
                    [
                        forwarded("unknown"), forwarded("203.0.113.1, unknown"), Opening(),
                        forwarded("for=_x", "Forwarded"),
                    ][number % 4]
                }, uncounted: forwarded("203.0.113.8")),
            Limit(
                testDescription: "--max-streams-per-address: a client inside of --trusted-proxy counts like others",
                arguments: perAddress + ["--trusted-proxy", "127.0.0.0/8", "--trusted-proxy", "192.168.0.0/16"], max: 4,
                metric: shedByAddress, counted: { _ in forwarded("192.168.1.7") }, uncounted: forwarded("192.168.1.8")),
            Limit(
                testDescription: "--max-streams-per-address: PROXY protocol, version 1",
                arguments: perAddress + ["--proxy-protocol"], max: 4, metric: shedByAddress,
                counted: { _ in line("203.0.113.7") }, uncounted: line("203.0.113.8")),
            Limit(
                testDescription: "--max-streams-per-address: PROXY protocol, version 1, an IPv6 /64",
                arguments: perAddress + ["--proxy-protocol"], max: 4, metric: shedByAddress,
                counted: { line("2001:db8:1:1::\($0)") }, uncounted: line("2001:db8:1:2::1")),
            Limit(
                testDescription: "--max-streams-per-address: PROXY protocol, version 2",
                arguments: behindProxy + ["--proxy-protocol"], max: 4, metric: shedByAddress,
                counted: { _ in block([203, 0, 113, 7]) }, uncounted: block([203, 0, 113, 8])),
            Limit(
                testDescription: "--max-streams-per-client", arguments: ["--max-streams-per-client", "3"], max: 3,
                metric: "streams_shed_total{reason=\"client\"}",
                counted: {
                    Opening(target: $0.isMultiple(of: 2) ? "/events?client=alice&topic=t\($0)" : "/sse?client_id=alice")
                }, uncounted: Opening(target: "/events?client=bob")),
        ]

        @Test(
            "As many streams as are allowed open, not one more, second after second; and as many again once they are gone",
            .timeLimit(.minutes(1)), arguments: limits)
        func holds(limit: Limit) async throws {
            let node = try await NodeProcess(limit.arguments)
            var sheds = 0
            for round in 0..<3 {
                var open: [Knock] = []
                for second in 0..<2 {
                    for number in 0..<limit.max + 3 {
                        let knock = try await limit.counted(second * 20 + number).knock(node.port)
                        switch knock.fate {
                        case .stream: open.append(knock)
                        case .shed: sheds += 1
                        default: Issue.record("round \(round), second \(second), \(number): \(knock.fate)")
                        }
                    }
                    #expect(open.count == limit.max, "round \(round), second \(second)")
                    // One goes, and there is room for one.
                    open.removeLast().close()
                    #expect(await eventually { try await node.metric("streams") == limit.max - 1 })
                    let next = try await limit.counted(second).knock(node.port)
                    #expect(next.fate == .stream, "round \(round), second \(second)")
                    open.append(next)
                    if let other = limit.uncounted {
                        let knock = try await other.knock(node.port)
                        #expect(knock.fate == .stream, "round \(round), second \(second)")
                        knock.close()
                    }
                    #expect(await eventually { try await node.metric("streams") == limit.max })
                    if second == 0 { try await Task.sleep(for: .seconds(1)) }
                }
                #expect(try await node.metric(limit.metric) == sheds)
                for knock in open { knock.close() }
                #expect(await eventually { try await node.metric("streams") == 0 })
            }
            #expect(try await node.metric("streams_shed_total") == sheds)
            #expect(await eventually { try await node.metric("connections") == 0 })
            // Whoever looks for the reason finds it, and not a line for each.
            let setting = try #require(limit.testDescription.split(separator: ":").first)
            let lines = node.output.split(separator: "\n").filter { $0.contains("a limit is reached") }
            #expect(lines.count == 1 && lines.allSatisfy { $0.contains("limit=\(setting)") }, "\(lines)")
            let isUnknownProxy = limit.arguments == StreamLimitTests.perAddress
            #expect(lines.allSatisfy { $0.contains("--trusted-proxy") } == isUnknownProxy, "\(lines)")
        }

        @Test(
            "A client's limit counts what its token opens, also where it listens to topics only",
            .timeLimit(.minutes(1)))
        func ofToken() async throws {
            let guarded = try await GuardedNode(["--max-streams-per-client", "3"])
            let headers = [("Authorization", "Bearer \(try #require(try await Visitor.subscriber.token()))")]
            var open: [Knock] = []
            for number in 0..<6 {
                let target = number.isMultiple(of: 2) ? "/events?topic=news" : "/events?client=alice"
                let knock = try await Knock(guarded.port, target, headers: headers)
                #expect(knock.fate == (number < 3 ? .stream : .shed))
                open.append(knock)
            }
            for knock in open { knock.close() }
            #expect(await eventually { try await guarded.node.metric("streams") == 0 })
            #expect(try await Knock(guarded.port, "/events?topic=news", headers: headers).fate == .stream)
        }

        @Test("A proxy that does not say who its client is, is named in the log, once", .timeLimit(.minutes(1)))
        func unnamed() async throws {
            let node = try await NodeProcess(["--trusted-proxy", "127.0.0.1"])
            for _ in 0..<5 { #expect(try await Opening().knock(node.port).fate == .stream) }
            #expect(try await StreamLimitTests.forwarded("203.0.113.8").knock(node.port).fate == .stream)
            let lines = node.output.split(separator: "\n").filter { $0.contains("does not say who its client is") }
            #expect(lines.count == 1 && lines.allSatisfy { $0.contains("127.0.0.1") }, "\(lines)")
        }

        @Test(
            "Topics have a rate for each address; beyond it a stream gets a time to come back", .timeLimit(.minutes(1)))
        func topicRates() async throws {
            for (setting, target) in [("--topic-rate", "/events?topic=a"), ("--new-topic-rate", "/events?topic=")] {
                let node = try await NodeProcess(StreamLimitTests.behindProxy + [setting, "1"])
                func knock(_ number: Int, from address: String) async throws -> Knock.Fate {
                    let topics = (0..<20).map { "&topic=t\(number).\($0)" }.joined()
                    let name = target.hasSuffix("=") ? "\(target)x\(number)" : target
                    return try await Knock(
                        node.port, name + topics, headers: [("X-Forwarded-For", address)]
                    ).fate
                }
                // More than a second's worth is let in, and owed for 20 s.
                #expect(try await knock(1, from: "203.0.113.1") == .stream)
                #expect(try await knock(2, from: "203.0.113.1") == .shed)
                #expect(try await knock(3, from: "203.0.113.2") == .stream)
                #expect(try await node.metric("streams_shed_total{reason=\"topics\"}") == 1)
                #expect(node.output.contains("limit=\(setting)"))
            }
        }

        @Test("Who has all streams it may have takes nothing from --open-rate", .timeLimit(.minutes(1)))
        func openRateOfOthers() async throws {
            let node = try await NodeProcess(
                StreamLimitTests.behindProxy + ["--open-rate", "20", "--threads", "1"])
            var greedy: [Knock] = []
            for _ in 0..<60 { greedy.append(try await StreamLimitTests.forwarded("198.51.100.1").knock(node.port)) }
            #expect(greedy.count { $0.fate == .stream } == 4)
            for number in 2..<12 {
                let other = try await StreamLimitTests.forwarded("198.51.100.\(number)").knock(node.port)
                #expect(other.fate == .stream)
                greedy.append(other)
            }
            #expect(try await node.metric("streams_shed_total{reason=\"rate\"}") == 0)
        }

        @Test(
            "No more streams open in a second than --open-rate says, in the fifth second as in the first",
            .timeLimit(.minutes(1)))
        func openRate() async throws {
            let rate = 6
            let node = try await NodeProcess(["--open-rate", "\(rate)", "--threads", "1"])
            let start = ContinuousClock.now
            var opened = 0
            var sheds = 0
            for second in 1...5 {
                while ContinuousClock.now - start < .seconds(second) {
                    let knock = try await Knock(node.port, "/events?topic=a")
                    knock.close()
                    #expect(knock.fate == .stream || knock.fate == .shed)
                    if knock.fate == .stream { opened += 1 } else { sheds += 1 }
                    try await Task.sleep(for: .milliseconds(20))
                }
                let elapsed = (ContinuousClock.now - start) / .seconds(1)
                // A second's worth at once, and from then on the rate.
                #expect(Double(opened) <= Double(rate) * (elapsed + 1) + 1, "second \(second)")
                #expect(opened >= rate * second, "second \(second)")
            }
            #expect(sheds > 0)
            #expect(try await node.metric("streams_shed_total{reason=\"rate\"}") == sheds)
            #expect(try await node.metric("streams_shed_total") == sheds)
        }
    }
}
