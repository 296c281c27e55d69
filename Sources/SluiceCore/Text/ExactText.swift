// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Text as the key of a dictionary: the same only if its bytes are, as for Redis and for JSON.
///
/// Swift takes two strings for the same that look the same, an "é" of one scalar and one of two, and hashes them alike.
/// The marks on one letter can be written in thousands of orders: whoever sends such names would find the one bucket of
/// a dictionary in which all of them are compared with all others, and a node would stand still.
package struct ExactText: Hashable, Sendable, ExpressibleByStringLiteral {
    package let text: String

    package init(_ text: String) {
        self.text = text
    }

    package init(stringLiteral text: String) {
        self.text = text
    }

    package static func == (left: ExactText, right: ExactText) -> Bool {
        // Each event's channel is compared: the standard library would do it a byte at a time.
        left.text.utf8Span.span.withUnsafeBytes { left in
            right.text.utf8Span.span.withUnsafeBytes { right in
                guard left.count == right.count else { return false }
                guard let bytes = left.baseAddress, let others = right.baseAddress else { return true }
                return memcmp(bytes, others, left.count) == 0
            }
        }
    }

    package func hash(into hasher: inout Hasher) {
        text.utf8Span.span.withUnsafeBytes { hasher.combine(bytes: $0) }
        // No byte of UTF-8: what is hashed next does not run into this.
        hasher.combine(0xFF as UInt8)
    }
}
