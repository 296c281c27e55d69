// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOEmbedded
import TestSupport
import Testing

@Suite("A large body")
struct PublishTurnsTests {
    private static let bytes = 8_000_000
    /// What one turn may read.
    private static let sliceBytes = 64 << 10

    private static let bodies: [(target: String, type: String, body: String)] = [
        ("/publish", "application/json", #"{"topic":"t",\#(String(repeating: " ", count: bytes))"data":1}"#),
        ("/publish", "application/json", #"{"topic":"t","data":"\#(String(repeating: "\\u0041", count: 900_000))"}"#),
        (
            "/publish", "application/x-ndjson",
            String(repeating: #"{"topic":"t","data":"\#(String(repeating: "x", count: 780))"}\#n"#, count: 9_900)
        ),
        ("/publish", "application/x-ndjson", String(repeating: "\n", count: bytes)),
        ("/publish", "application/x-ndjson", String(repeating: "[\n", count: 9_000)),
    ]

    @Test("is read in slices: other work of its loop comes between them", arguments: bodies.indices)
    func slices(_ index: Int) throws {
        let (target, type, body) = PublishTurnsTests.bodies[index]
        let embedded = EmbeddedNode()
        let channel = try embedded.connect()
        let head =
            "POST \(target) HTTP/1.1\r\nHost: a\r\nContent-Type: \(type)\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        // Work that is always there, and comes to its turn whenever the request gives the loop free.
        var turns = 0
        var answer = ""
        func turn() {
            turns += 1
            while let bytes = try? channel.readOutbound(as: ByteBuffer.self) { answer += String(buffer: bytes) }
            if answer.isEmpty, turns < 100_000 { embedded.loop.execute(turn) }
        }
        embedded.loop.execute(turn)
        try channel.writeInbound(ByteBuffer(string: head + body))
        embedded.loop.run()
        #expect(answer.hasPrefix("HTTP/1.1 200 OK"), "\(answer.prefix(200))")
        #expect(turns >= body.utf8.count / PublishTurnsTests.sliceBytes, "\(turns) turns for \(body.utf8.count) bytes")
        if type == "application/x-ndjson", index == 4 { #expect(turns >= 9_000 / 600) }
        try? channel.close().wait()
        try embedded.stop()
    }
}
