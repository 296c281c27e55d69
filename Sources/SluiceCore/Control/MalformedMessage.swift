// SPDX-License-Identifier: Apache-2.0

/// Why a message of the control channel, or an answer to one, was dropped.
package struct MalformedMessage: Error, Equatable, CustomStringConvertible {
    package let description: String

    package init(description: String) {
        self.description = description
    }
}
