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

    @Test("is read in slices: the sockets of its loop have their turn between them", arguments: bodies.indices)
    func slices(_ index: Int) throws {
        let (target, type, body) = PublishTurnsTests.bodies[index]
        let embedded = EmbeddedNode()
        let channel = try embedded.connect()
        let head =
            "POST \(target) HTTP/1.1\r\nHost: a\r\nContent-Type: \(type)\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        try channel.writeInbound(ByteBuffer(string: head + body))
        embedded.loop.run()
        // A loop runs all the tasks that there are, and those that they add, before it looks at its sockets: they have their
        // turn only where a request waits for a time that is still to come.
        var turns = 0
        var answer = ""
        while answer.isEmpty, turns < 10_000 {
            while let bytes = try channel.readOutbound(as: ByteBuffer.self) { answer += String(buffer: bytes) }
            if !answer.isEmpty { break }
            turns += 1
            embedded.loop.advanceTime(by: .microseconds(100))
        }
        #expect(answer.hasPrefix("HTTP/1.1 200 OK"), "\(answer.prefix(200))")
        let turnsMin = max(body.utf8.count / PublishTurnsTests.sliceBytes - 2, index == 4 ? 9_000 / 300 : 0)
        #expect(turns >= turnsMin, "\(turns) turns for \(body.utf8.count) bytes")
        try? channel.close().wait()
        try embedded.stop()
    }
}
