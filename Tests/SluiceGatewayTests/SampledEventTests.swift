// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("tells in its log of some events")
    struct SampledEventTests {
        private func publish(_ test: TestNode, _ data: String, trace: String? = nil) async throws {
            let headers = ["Content-Type": "application/json"].merging(trace.map { ["traceparent": $0] } ?? [:]) { $1 }
            let answer = try await request(
                test.port, "POST", "/publish", headers: headers, body: Array(#"{"topic":"t","data":"\#(data)"}"#.utf8))
            #expect(answer.status == 200, "\(answer.text)")
        }

        @Test(
            "An event whose publisher keeps a trace is in the log of each node that writes it",
            .timeLimit(.minutes(1)))
        func trace() async throws {
            let rare = ["--log-sample", "1000000", "--threads", "1"]
            let test = try await TestNode.start(.redis, rare)
            let other = try await NodeProcess(rare + ["--redis", try #require(test.redis).url])
            let idle = try await NodeProcess(rare + ["--redis", try #require(test.redis).url])
            let quiet = try await NodeProcess(["--redis", try #require(test.redis).url])
            var streams: [EventStreamClient] = []
            for port in [test.port, other.port, other.port, quiet.port] {
                streams.append(try await EventStreamClient.opened(port: port, "/events?topic=t"))
            }
            // White space around a field's value is none of it.
            for trace in TraceParents.malformed.filter({ !$0.contains(/^ |\n/) }) + [TraceParents.good[1].text] {
                try await publish(test, "x", trace: trace)
            }
            try await publish(test, "last", trace: TraceParents.sampled)
            for stream in streams { #expect(await stream.waits { $0.messages.last?.data == "last" }) }
            for (node, count) in [(test.node, 1), (other, 2)] {
                #expect(await eventually { node.output.contains("an event was handed to streams") }, "\(node.output)")
                let lines = node.output.split(separator: "\n").filter { $0.contains("an event was handed to streams") }
                #expect(lines.count == 1, "\(lines)")
                let line = lines.first ?? ""
                #expect(line.contains(" traceparent=\(TraceParents.sampled)") && line.contains(" target=topic:t"))
                #expect(line.contains(" streams=\(count) ") && line.contains(" seconds=0.") && line.contains(" id="))
            }
            for node in [idle, quiet] { #expect(!node.output.contains("an event was handed to streams")) }
        }

        @Test("One in --log-sample events is, with a trace or without", .timeLimit(.minutes(1)))
        func interval() async throws {
            let test = try await TestNode.start(.memory, ["--log-sample", "4", "--threads", "1"])
            let stream = try await test.stream("/events?topic=t")
            for number in 1...58 { try await publish(test, "\(number)") }
            #expect(await stream.receives(58))
            func lines() -> Int {
                test.node.output.split(separator: "\n").count { $0.contains("an event was handed to streams") }
            }
            #expect(await eventually { lines() == 14 }, "more than ten lines of a kind in a minute: \(lines())")
        }
    }
}
