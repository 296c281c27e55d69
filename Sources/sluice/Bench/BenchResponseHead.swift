// SPDX-License-Identifier: Apache-2.0

/// What a stream of the bench needs to know of its response's head.
struct BenchResponseHead: Equatable {
    let status: Int
    let isEventStream: Bool
    let isChunked: Bool

    static let bytesMax = 32 * 1024

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
    }
}
