// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// What is published.
package struct Event: Equatable, Sendable {
    /// What `addEventListener` names in a browser.
    package var type: String?
    /// A later event of the same target and key makes this one superfluous.
    package var key: String?
    /// The event closes its topic.
    package var ends: Bool
    package var data: ByteBuffer

    package init(_ data: ByteBuffer, type: String? = nil, key: String? = nil, ends: Bool = false) {
        self.type = type
        self.key = key
        self.ends = ends
        self.data = data
    }
}
