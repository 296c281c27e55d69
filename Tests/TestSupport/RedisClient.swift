// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A connection to Redis for tests that publish bytes which `redis-cli` can't be given: RESP written by hand.
package actor RedisClient {
    private let socket: RawSocket
    private var buffer: [UInt8] = []
    private var offset = 0

    package init(_ server: RedisServer) async throws {
        try await self.init(port: server.port)
    }

    package init(port: Int) async throws {
        socket = try await RawSocket(port: port)
    }

    /// Sends one command and returns the reply as one line of text, an array's elements with spaces between.
    @discardableResult
    package func command(_ words: [UInt8]...) async throws -> String {
        try await socket.send(RedisClient.encoded(words))
        return try await reply()
    }

    @discardableResult
    package func command(_ words: String...) async throws -> String {
        try await socket.send(RedisClient.encoded(words.map { Array($0.utf8) }))
        return try await reply()
    }

    /// Sends all commands at once.
    @discardableResult
    package func pipeline(_ commands: [[[UInt8]]]) async throws -> [String] {
        // Written and read side by side, or both ends could wait for each other.
        let bytes = commands.flatMap(RedisClient.encoded)
        let socket = socket
        let sending = Task { try await socket.send(bytes) }
        var replies: [String] = []
        for _ in commands { replies.append(try await reply()) }
        try await sending.value
        return replies
    }

    package func publish(_ channel: String, _ data: [UInt8]) async throws {
        try await command(Array("PUBLISH".utf8), Array(channel.utf8), data)
    }

    /// The next thing that Redis says without being asked, as for a channel that was subscribed to.
    package func message() async throws -> String { try await reply() }

    private static func encoded(_ words: [[UInt8]]) -> [UInt8] {
        var bytes = Array("*\(words.count)\r\n".utf8)
        for word in words { bytes += Array("$\(word.count)\r\n".utf8) + word + [13, 10] }
        return bytes
    }

    private func reply() async throws -> String {
        let line = try await self.line()
        let rest = String(line.dropFirst())
        switch line.first {
        case "$":
            guard let count = Int(rest), count >= 0 else { return "" }
            let text = String(decoding: try await bytes(count + 2).dropLast(2), as: UTF8.self)
            return text
        case "*":
            var parts: [String] = []
            for _ in 0..<max(0, Int(rest) ?? 0) { parts.append(try await reply()) }
            return parts.joined(separator: " ")
        case "-": return line
        default: return rest
        }
    }

    private func line() async throws -> String {
        while true {
            if let end = buffer[offset...].firstIndex(of: 10) {
                defer { offset = end + 1 }
                return String(decoding: buffer[offset..<(end - 1)], as: UTF8.self)
            }
            try await fill()
        }
    }

    private func bytes(_ count: Int) async throws -> [UInt8] {
        while buffer.count - offset < count { try await fill() }
        defer { offset += count }
        return Array(buffer[offset..<offset + count])
    }

    private func fill() async throws {
        guard let more = try await socket.receive(within: 60) else {
            throw RawSocket.Failure(description: "Redis ended the connection")
        }
        buffer.removeFirst(offset)
        offset = 0
        buffer += more
    }
}
