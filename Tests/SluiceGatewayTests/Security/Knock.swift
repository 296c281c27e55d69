// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport

/// One request on a connection of its own, which stays open for as long as this is kept: what became of it.
struct Knock: Sendable {
    enum Fate: Equatable, Sendable {
        /// An open stream.
        case stream
        /// Sent away as an `EventSource` needs it: 200, a time to come back, and a clean end.
        case shed
        /// Any other answer.
        case answered(Int)
        /// The connection ended without a word.
        case closed
    }

    let socket: RawSocket
    let fate: Fate
    let answer: HTTPAnswer?

    /// - Parameters:
    ///   - preamble: what comes before the request, as a load balancer's header.
    ///   - headers: in order; a `Host` is added unless it is there.
    init(
        _ port: Int, _ target: String, method: String = "GET", headers: [(String, String)] = [], body: [UInt8]? = nil,
        preamble: [UInt8] = []
    ) async throws {
        var head = "\(method) \(target) HTTP/1.1\r\n"
        if !headers.contains(where: { $0.0 == "Host" }) { head += "Host: 127.0.0.1:\(port)\r\n" }
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        if let body { head += "Content-Length: \(body.count)\r\n" }
        socket = try await RawSocket(port: port)
        // It may be closed before it has taken everything.
        try? await socket.send(preamble + Array((head + "\r\n").utf8) + (body ?? []))
        (answer, fate) = try await Knock.outcome(socket, isHead: method == "HEAD")
    }

    private static func outcome(_ socket: RawSocket, isHead: Bool) async throws -> (HTTPAnswer?, Fate) {
        var bytes: [UInt8] = []
        var end: Range<Int>?
        while end == nil {
            guard let more = try await socket.receive() else { return (nil, .closed) }
            bytes += more
            end = bytes.firstRange(of: Array("\r\n\r\n".utf8))
        }
        guard let end else { return (nil, .closed) }
        var answer = try HTTPAnswer(head: bytes[..<end.lowerBound])
        answer.body = Array(bytes[end.upperBound...])
        if answer["Transfer-Encoding"] == "chunked" { return (answer, .stream) }
        let length = isHead ? 0 : answer["Content-Length"].flatMap { Int($0) } ?? 0
        while answer.body.count < length, let more = try await socket.receive() { answer.body += more }
        guard answer.status == 200, answer["Content-Type"] == "text/event-stream; charset=utf-8", !isHead else {
            return (answer, .answered(answer.status))
        }
        let isWhole = answer.text.contains(/^retry: \d+\n/) && answer.body.count == length
        let isEnded = try await socket.receive() == nil
        return (answer, isWhole && isEnded ? .shed : .answered(200))
    }

    func close() {
        socket.close()
    }
}
