// SPDX-License-Identifier: Apache-2.0

/// Takes the chunks of RFC 9112 §7.1 apart, strictly: the tests' own reading of what the gateway writes.
package struct ChunkedBody: Sendable {
    package struct Malformed: Error, CustomStringConvertible {
        package let description: String
    }

    private enum Expectation {
        case size
        case data(left: Int)
        case endOfData
        case endOfBody
        case nothing
    }

    private var expectation = Expectation.size
    private var buffer: [UInt8] = []
    private var offset = 0
    /// The last chunk has come.
    package private(set) var isComplete = false

    package init() {}

    /// Bytes that came behind the last chunk.
    package var rest: [UInt8] { Array(buffer[offset...]) }

    /// - Returns: the body's bytes that became known.
    package mutating func feed(_ bytes: [UInt8]) throws(Malformed) -> [UInt8] {
        buffer += bytes
        var body: [UInt8] = []
        while try step(&body) {}
        buffer.removeFirst(offset)
        offset = 0
        return body
    }

    private mutating func step(_ body: inout [UInt8]) throws(Malformed) -> Bool {
        switch expectation {
        case .size:
            guard let end = lineEnd() else {
                if buffer.count - offset > 32 { throw Malformed(description: "no chunk size in 32 bytes") }
                return false
            }
            let digits = String(decoding: buffer[offset..<end], as: UTF8.self)
            guard let size = Int(digits, radix: 16), size >= 0, digits.first != "+" else {
                throw Malformed(description: "chunk size \"\(digits)\"")
            }
            offset = end + 2
            expectation = size == 0 ? .endOfBody : .data(left: size)
        case .data(let left):
            let count = min(left, buffer.count - offset)
            guard count > 0 else { return false }
            body += buffer[offset..<offset + count]
            offset += count
            expectation = count == left ? .endOfData : .data(left: left - count)
        case .endOfData, .endOfBody:
            guard buffer.count - offset >= 2 else { return false }
            guard buffer[offset] == 13, buffer[offset + 1] == 10 else {
                throw Malformed(description: "no line end behind a chunk")
            }
            offset += 2
            if case .endOfBody = expectation {
                isComplete = true
                expectation = .nothing
            } else {
                expectation = .size
            }
        case .nothing: return false
        }
        return true
    }

    private func lineEnd() -> Int? {
        guard let end = buffer[offset...].prefix(34).firstIndex(of: 10), end > offset, buffer[end - 1] == 13
        else { return nil }
        return end - 1
    }
}
