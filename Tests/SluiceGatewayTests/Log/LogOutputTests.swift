// SPDX-License-Identifier: Apache-2.0
import Foundation
import Logging
import NIOCore
import SluiceGateway
import TestSupport
import Testing

/// On a pipe, whose other end is the test's.
@Suite("The log's output")
struct LogOutputTests {
    private func pipe() -> (reader: FileHandle, writer: FileHandle) {
        let pipe = Pipe()
        return (pipe.fileHandleForReading, pipe.fileHandleForWriting)
    }

    @Test("never waits for a reader: what is beyond its queue is dropped, counted and said", .timeLimit(.minutes(1)))
    func unread() async throws {
        let (reader, writer) = pipe()
        let counters = Counters()
        let output = LogOutput(descriptor: writer.fileDescriptor, format: .text, counters: counters)
        let total = 3000
        let filler = String(repeating: "x", count: 900)
        for number in 0..<total { output.write(LogLine(.info, "line \(number)", [("filler", filler)])) }
        let dropped = counters.logLinesDropped[.unread].value
        #expect(dropped > 0)

        let finishing = Task {
            await output.finish(within: .seconds(30))
            try writer.close()
        }
        // Without blocking a thread that other tests need.
        _ = fcntl(reader.fileDescriptor, F_SETFL, O_NONBLOCK)
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(reader.fileDescriptor, &part, part.count)
            if count == 0 { break }
            if count > 0 { bytes += part[..<count] } else { try await Task.sleep(for: .milliseconds(1)) }
        }
        try await finishing.value
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        let written = lines.filter { $0.contains(" info line ") }
        #expect(written.count == total - dropped)
        #expect(written.allSatisfy { $0.hasSuffix("filler=\(filler)") }, "whole lines")
        let said = lines.compactMap { $0.firstMatch(of: /dropped.* lines=([0-9]+)/).flatMap { Int($0.1) } }
        #expect(said.reduce(0, +) == dropped)
    }

    @Test("counts what a reader that has gone does not get, and goes on", .timeLimit(.minutes(1)))
    func goneReader() async throws {
        signal(SIGPIPE, SIG_IGN)
        let (reader, writer) = pipe()
        try reader.close()
        let counters = Counters()
        let output = LogOutput(descriptor: writer.fileDescriptor, format: .json, counters: counters)
        for _ in 0..<3 {
            output.write(LogLine(.info, "nobody", []))
            await output.finish(within: .seconds(10))
        }
        #expect(counters.logLinesDropped[.unread].value == 3)
    }

    @Test("takes of each message some lines a minute from whoever logs, and counts the rest", .timeLimit(.minutes(1)))
    func limited() async throws {
        let (reader, writer) = pipe()
        let counters = Counters()
        let output = LogOutput(descriptor: writer.fileDescriptor, format: .text, counters: counters)
        let logger = Logger(label: "test") { _ in
            LineLogHandler(level: .info, output: output, clock: { .uptimeNanoseconds(0) })
        }
        for number in 0..<1000 {
            logger.warning("Redis refuses a channel", metadata: ["channel": "\(number)"])
            logger.debug("not asked for")
        }
        logger.notice("draining")
        await output.finish(within: .seconds(10))
        try writer.close()
        let lines = String(decoding: try #require(try reader.readToEnd()), as: UTF8.self).split(separator: "\n")
        #expect(lines.count == 11)
        #expect(lines[9].contains("channel=9 more=\"left out for a minute\""))
        #expect(lines[10].contains("draining"))
        #expect(counters.logLinesDropped[.limited].value == 990)
    }
}
