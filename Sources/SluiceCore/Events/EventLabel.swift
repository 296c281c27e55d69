// SPDX-License-Identifier: Apache-2.0

/// The rules for an event's type and conflation key: at most 128 bytes of UTF-8 without control characters.
///
/// A line end in a type would let a publisher forge fields of the event stream, so it is refused, never stripped.
package enum EventLabel {
    package static let bytesMax = 128

    /// Types with a meaning of their own: ours, and the two that would fire an `EventSource`'s own handlers.
    package static let reservedTypes: Set<String> = ["checkpoint", "gap", "pause", "error", "open"]

    /// nil if `type` may be an event's type, else what is wrong with it.
    package static func problem(type: String) -> String? {
        if reservedTypes.contains(type) { return "\"\(type)\" is reserved" }
        return problem(key: type)
    }

    /// nil if `key` may be a conflation key, else what is wrong with it.
    package static func problem(key: String) -> String? {
        if key.utf8.isEmpty { return "is empty" }
        if key.utf8.count > bytesMax { return "has \(key.utf8.count) bytes; at most \(bytesMax) are allowed" }
        if key.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
            return "contains a control character"
        }
        return nil
    }
}
