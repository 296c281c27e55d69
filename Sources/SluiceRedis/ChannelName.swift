// SPDX-License-Identifier: Apache-2.0

/// The name of a channel as a key of a dictionary, byte for byte as Redis compares it.
///
/// Swift takes two strings for equal that differ in their bytes: an "é" of one scalar and one of two.
package struct ChannelName: Hashable, Sendable {
    package let text: String

    package init(_ text: String) {
        self.text = text
    }

    package static func == (left: ChannelName, right: ChannelName) -> Bool {
        left.text.utf8.elementsEqual(right.text.utf8)
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(text)
    }
}
