// SPDX-License-Identifier: Apache-2.0

/// Where an event belongs in somebody's trace: the header `traceparent` of W3C's Trace Context, level 1.
///
///     00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
package struct TraceParent: Hashable, Sendable, CustomStringConvertible {
    /// Of what is passed on: version 00 has no more.
    private static let length = 55

    private let text: String
    /// Whoever began the trace keeps it.
    package let isSampled: Bool

    /// nil: it is malformed, and to be ignored. A later version may have more behind what is known.
    package init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count >= TraceParent.length else { return nil }
        let parts = bytes.prefix(TraceParent.length).split(
            separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard parts.map(\.count) == [2, 32, 16, 2], parts.allSatisfy({ $0.allSatisfy(TraceParent.isHexadecimal) }),
            !parts[0].elementsEqual("ff".utf8), parts[1...2].allSatisfy({ $0.contains { $0 != UInt8(ascii: "0") } })
        else { return nil }
        if bytes.count > TraceParent.length {
            guard !parts[0].elementsEqual("00".utf8), bytes[TraceParent.length] == UInt8(ascii: "-") else { return nil }
        }
        self.text = String(decoding: bytes.prefix(TraceParent.length), as: UTF8.self)
        // The last bit of the flags.
        isSampled = UInt8(self.text.suffix(2), radix: 16).map { $0 & 1 == 1 } ?? false
    }

    /// Capitals are not allowed there.
    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    package var description: String { text }
}
