// SPDX-License-Identifier: Apache-2.0

/// A text that is no JSON, or not what was asked for; `description` says what is wrong, and where.
package struct MalformedJSON: Error, Equatable, CustomStringConvertible {
    package let description: String

    package init(description: String) {
        self.description = description
    }
}
