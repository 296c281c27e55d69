// SPDX-License-Identifier: Apache-2.0
import NIOHPACK

/// What a stream of the bench needs to know of its response's head.
struct ResponseHead: Equatable {
    let status: Int
    let isEventStream: Bool
    let isChunked: Bool
    /// The first line, or what there is of it in HTTP/2.
    private let statusLine: String

    static let bytesMax = 32 * 1024
    private static let statusLineCharactersMax = 100

    /// The length of the head with its empty line, if it is whole.
    static func length(in bytes: [UInt8]) -> Int? {
        var index = 3
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "\n"), bytes[index - 1] == UInt8(ascii: "\r"),
                bytes[index - 2] == UInt8(ascii: "\n"), bytes[index - 3] == UInt8(ascii: "\r")
            {
                return index + 1
            }
            index += 1
        }
        return nil
    }

    /// nil if it is not HTTP/1.
    init?(_ bytes: some Sequence<UInt8>) {
        let lines = String(decoding: Array(bytes), as: UTF8.self).split(separator: "\r\n")
        guard let first = lines.first, first.hasPrefix("HTTP/1."),
            let status = first.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { return nil }
        var isEventStream = false
        var isChunked = false
        for line in lines.dropFirst() {
            let field = line.lowercased()
            if field.hasPrefix("content-type:") { isEventStream = field.contains("text/event-stream") }
            if field.hasPrefix("transfer-encoding:") { isChunked = field.contains("chunked") }
        }
        self.status = status
        self.isEventStream = isEventStream
        self.isChunked = isChunked
        statusLine = String(first.prefix(ResponseHead.statusLineCharactersMax))
    }

    /// Of HTTP/2, where the frames say where a body ends.
    init(_ headers: HPACKHeaders) {
        status = headers.first(name: ":status").flatMap { Int($0) } ?? 0
        isEventStream = headers.first(name: "content-type")?.contains("text/event-stream") ?? false
        isChunked = false
        statusLine = "HTTP/2 \(status)"
    }

    /// Why it is not the beginning of an event stream; nil: it is.
    var problem: String? {
        guard status == 200 else { return statusLine }
        return isEventStream ? nil : "the answer is no event stream"
    }
}
