// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Testing

@testable import sluice

@Suite struct BenchOptionsTests {
    @Test(
        "--http2 puts 100 streams on a connection, or as many as are asked for",
        arguments: [
            ([], nil), (["--http2"], 100), (["--http2", "--streams-per-connection", "7"], 7),
        ] as [([String], Int?)])
    func perConnection(arguments: [String], expected: Int?) throws {
        #expect(try Bench.parse(arguments).streams.perConnection == expected)
    }

    @Test(
        "What makes no sense is bad usage",
        arguments: [
            ["--streams-per-connection", "7"], ["--http2", "--streams-per-connection", "0"],
            ["--streams", "0"], ["--url", "ftp://127.0.0.1/"],
        ])
    func refuses(arguments: [String]) {
        #expect(throws: (any Error).self) { try Bench.parse(arguments) }
    }
}
