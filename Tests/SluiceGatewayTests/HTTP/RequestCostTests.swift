// SPDX-License-Identifier: Apache-2.0
import CoreFoundation
import Foundation
import Logging
import NIOCore
import NIOEmbedded
import NIOHTTP1
import SluiceGateway
import TestSupport
import Testing

/// What a request costs is in proportion to its bytes: a byte that the node looks at costs little more than one in a
/// field that nobody reads.
///
/// Counted is this thread's CPU time, the least of several runs, and compared with the same number of unread bytes in the
/// same test, so that neither the machine nor the build matters.
@Suite("A request costs what it sends", .serialized)
struct RequestCostTests {
    private static let runs = 3
    /// Where the least of a few is too much, more are counted: what else is busy on the machine costs this thread its caches.
    private static let runsMax = 40
    /// Unread bytes are parsed by NIO and copied. Read ones are looked at once more, or a few times, by code that is not
    /// optimised in a debug build. Taken apart by characters or into strings they cost hundreds of times as much.
    private static let factorMax = 20.0

    private static let fillers = [
        "=;", "a=b; ", "sluice_token;", "a=&", "&", "topic=a&", "%41", ",", " ", "\\\"", "for=", ";", ".", "a", ":",
        "[",
    ]
    private static let fields = [
        "cookie", "origin", "authorization", "forwarded", "x-forwarded-for", "last-event-id", "accept", "expect",
        "content-type", "sec-fetch-site", "sec-fetch-mode", "access-control-request-headers",
    ]
    /// With all fillers.
    private static let mainHeads = ["GET /events?topic=a", "POST /publish"]
    /// With some.
    private static let otherHeads = [
        "GET /sse", "GET /push?client_id=a", "DELETE /clients/a",
        "OPTIONS /publish", "GET /", "GET /nothing",
    ]

    private static let heads =
        mainHeads.map { ($0, fillers) } + otherHeads.map { ($0, ["=;", "a=&", " "]) }

    private func node(hasTokens: Bool) async throws -> EmbeddedNode {
        let tokens = try await TokenVerifier(
            Settings(), eventLoop: EmbeddedEventLoop(), wallClock: { 0 }, clock: { .uptimeNanoseconds(0) },
            logger: Logger(label: "tokens") { _ in SwiftLogNoOpLogHandler() })
        let everywhere = try [NetworkRange("0.0.0.0/0"), NetworkRange("::/0")]
        return EmbeddedNode(tokens: hasTokens ? tokens : nil) { settings in
            // So that a proxy's headers are read.
            settings.trustedProxies = everywhere
        }
    }

    private static func cpuTime() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
    }

    /// - Parameters:
    ///   - before: what is sent first, and not counted.
    ///   - unread: what as many bytes that nobody reads have cost.
    private func cost(
        _ bytes: [UInt8], after before: [UInt8] = [], on node: EmbeddedNode, against unread: Double = .infinity
    ) throws -> Double {
        var least = Double.infinity
        for run in 0..<RequestCostTests.runsMax {
            if run >= RequestCostTests.runs, least <= unread * RequestCostTests.factorMax { break }
            let channel = try node.connect()
            if !before.isEmpty { _ = try? channel.writeInbound(ByteBuffer(bytes: before)) }
            node.loop.run()
            let buffer = ByteBuffer(bytes: bytes)
            let begin = RequestCostTests.cpuTime()
            _ = try? channel.writeInbound(buffer)
            least = min(least, RequestCostTests.cpuTime() - begin)
            node.loop.run()
            _ = try? channel.finish()
            node.loop.run()
        }
        return least
    }

    private static func filled(_ filler: String, _ count: Int) -> String {
        String(String(repeating: filler, count: count / filler.utf8.count + 1).prefix(count))
    }

    private func expectCheap(_ cost: Double, _ unread: Double, _ name: String) {
        #expect(cost <= unread * RequestCostTests.factorMax, "\(name): \(cost / unread) times")
    }

    @Test("over HTTP/1, in each field, on each route", arguments: [false, true])
    func http1(hasTokens: Bool) async throws {
        let node = try await node(hasTokens: hasTokens)
        defer { try? node.stop() }
        func request(_ head: String, _ field: String, _ value: String) -> [UInt8] {
            Array("\(head) HTTP/1.1\r\nhost: a\r\n\(field): \(value)\r\n\r\n".utf8)
        }
        for (head, fillers) in RequestCostTests.heads {
            let unread = try cost(request(head, "x-unread", RequestCostTests.filled("a", 15_000)), on: node)
            for filler in fillers {
                let value = RequestCostTests.filled(filler, 15_000)
                for field in RequestCostTests.fields {
                    let cost = try cost(request(head, field, "x" + value), on: node, against: unread)
                    expectCheap(cost, unread, "\(head), \(field), \(filler)")
                }
                guard !value.contains(where: { " \"\\".contains($0) }) else { continue }
                let separator = head.contains("?") ? "&" : "?"
                for target in [head + separator + value, head + value] {
                    let cost = try cost(request(target, "x-unread", "a"), on: node, against: unread)
                    expectCheap(cost, unread, "\(target.prefix(40)), target, \(filler)")
                }
            }
        }
    }

    @Test("over HTTP/2, where one byte names a field of 4 kB that came before", arguments: [false, true])
    func http2(hasTokens: Bool) async throws {
        let node = try await node(hasTokens: hasTokens)
        defer { try? node.stop() }
        func pseudo(_ head: String) -> [(String, String)] {
            let words = head.split(separator: " ").map(String.init)
            return [(":method", words[0]), (":scheme", "http"), (":authority", "a"), (":path", words[1])]
        }
        func cost(
            _ head: String, _ name: String, _ value: String, times: Int, against unread: Double = .infinity
        ) throws -> Double {
            let fields = pseudo(head).filter { $0.0 != name }
            let first = HTTP2Frame.block(fields) + HTTP2Frame.indexed(name, value)
            let again = HTTP2Frame.block(fields) + [UInt8](repeating: 0xBE, count: times)
            return try self.cost(
                HTTP2Frame.longHeaders(stream: 3, again),
                after: HTTP2Frame.preface + HTTP2Frame.settings([]).bytes
                    + HTTP2Frame.longHeaders(stream: 1, first),
                on: node, against: unread)
        }
        for (head, fillers) in RequestCostTests.heads {
            let unread = try cost(head, "x-unread", RequestCostTests.filled("a", 4000), times: 11)
            for filler in fillers {
                let value = RequestCostTests.filled(filler, 4000)
                for field in RequestCostTests.fields {
                    for times in [2, 11] {
                        let cost = try cost(head, field, value, times: times, against: unread)
                        expectCheap(cost, unread, "\(head), \(times) × \(field), \(filler)")
                    }
                }
                let cost = try cost(head, ":path", "/events?\(value)", times: 1, against: unread)
                expectCheap(cost, unread, "\(head), :path, \(filler)")
            }
        }
    }
}
