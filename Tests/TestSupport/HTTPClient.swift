// SPDX-License-Identifier: Apache-2.0
import Foundation

package struct HTTPAnswer: Sendable {
    package var status = 0
    package var version = ""
    /// In order, as they came.
    package var fields: [(name: String, value: String)] = []
    package var body: [UInt8] = []

    package var text: String { String(decoding: body, as: UTF8.self) }

    package func all(_ name: String) -> [String] {
        fields.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
    }

    package subscript(name: String) -> String? { all(name).first }

    /// The members of a JSON object; values as strings, numbers, booleans, arrays and dictionaries.
    package var json: [String: Any]? {
        try? JSONSerialization.jsonObject(with: Data(body)) as? [String: Any]
    }

    package init(status: Int, version: String, fields: [(name: String, value: String)]) {
        self.status = status
        self.version = version
        self.fields = fields
    }

    /// The head of a message, without the empty line.
    package init(head: ArraySlice<UInt8>) throws {
        let lines = String(decoding: head, as: UTF8.self).components(separatedBy: "\r\n")
        let words = lines[0].split(separator: " ", maxSplits: 2)
        guard words.count >= 2, let status = Int(words[1]), words[0].hasPrefix("HTTP/") else {
            throw RawSocket.Failure(description: "not a status line: \(lines[0].prefix(200))")
        }
        self.status = status
        version = String(words[0])
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { throw RawSocket.Failure(description: "not a header field: \(line)") }
            fields.append((String(parts[0]), parts[1].trimmingCharacters(in: .whitespaces)))
        }
    }
}

/// One HTTP/1 connection that sends the bytes it is given and reads answers one by one.
package actor HTTPConnection {
    package nonisolated let socket: any ByteSocket
    private var buffer: [UInt8] = []

    /// - Parameter transport: of HTTP/1.
    package init(port: Int, over transport: Transport = .http11) async throws {
        socket = try await transport.connect(port: port)
    }

    package func send(_ text: String) async throws {
        try await socket.send(text)
    }

    package func send(_ bytes: [UInt8]) async throws {
        try await socket.send(bytes)
    }

    /// Reads one answer to its end.
    ///
    /// - Parameter method: HEAD has no body, whatever the header says.
    package func receive(method: String = "GET", within seconds: Double = 20) async throws -> HTTPAnswer {
        let end = Array("\r\n\r\n".utf8)
        while true {
            if let range = buffer.firstRange(of: end) {
                var answer = try HTTPAnswer(head: buffer[..<range.lowerBound])
                buffer.removeFirst(range.upperBound)
                answer.body = try await body(of: answer, method: method, within: seconds)
                return answer
            }
            guard try await fill(within: seconds) else {
                throw RawSocket.Failure(description: "the connection ended inside a head: \(buffer.prefix(200))")
            }
        }
    }

    private func fill(within seconds: Double) async throws -> Bool {
        guard let bytes = try await socket.receive(within: seconds) else { return false }
        buffer += bytes
        return true
    }

    private func body(of answer: HTTPAnswer, method: String, within seconds: Double) async throws -> [UInt8] {
        if method == "HEAD" || answer.status == 204 || answer.status < 200 { return [] }
        if answer["Transfer-Encoding"] == "chunked" {
            var decoder = ChunkedBody()
            var body = try decoder.feed(buffer)
            buffer = []
            while !decoder.isComplete {
                guard let bytes = try await socket.receive(within: seconds) else {
                    throw RawSocket.Failure(description: "the connection ended inside a chunked body")
                }
                body += try decoder.feed(bytes)
            }
            buffer = decoder.rest
            return body
        }
        if let length = answer["Content-Length"] {
            guard let count = Int(length) else { throw RawSocket.Failure(description: "Content-Length: \(length)") }
            while buffer.count < count {
                guard try await fill(within: seconds) else {
                    throw RawSocket.Failure(description: "the connection ended inside a body")
                }
            }
            defer { buffer.removeFirst(count) }
            return Array(buffer[..<count])
        }
        while try await fill(within: seconds) {}
        defer { buffer = [] }
        return buffer
    }

    /// Whether the peer says goodbye, with nothing before it.
    package func isEnded(within seconds: Double = 10) async throws -> Bool {
        if !buffer.isEmpty { return false }
        return try await socket.receive(within: seconds) == nil
    }

    package func close() {
        socket.close()
    }
}

/// One request on a connection of its own.
package func request(
    _ port: Int, _ method: String, _ target: String, headers: [String: String] = [:], body: [UInt8]? = nil,
    within seconds: Double = 20, over transport: Transport = .http11
) async throws -> HTTPAnswer {
    if transport.isHTTP2 {
        var options = HTTP2Client.Options()
        options.transport = transport
        let client = try await HTTP2Client(port: port, options)
        defer { client.close() }
        return try await client.request(method, target, headers: headers, body: body, within: seconds)
    }
    let connection = try await HTTPConnection(port: port, over: transport)
    var head = "\(method) \(target) HTTP/\(transport.version)\r\nHost: 127.0.0.1:\(port)\r\nConnection: close\r\n"
    for (name, value) in headers.sorted(by: { $0.key < $1.key }) { head += "\(name): \(value)\r\n" }
    if let body { head += "Content-Length: \(body.count)\r\n" }
    try await connection.send(Array((head + "\r\n").utf8) + (body ?? []))
    let answer = try await connection.receive(method: method, within: seconds)
    await connection.close()
    return answer
}

/// `POST /publish` with a JSON text.
package func publish(
    _ port: Int, _ json: String, within seconds: Double = 20, over transport: Transport = .http11
) async throws -> HTTPAnswer {
    try await request(
        port, "POST", "/publish", headers: ["Content-Type": "application/json"], body: Array(json.utf8),
        within: seconds, over: transport)
}
