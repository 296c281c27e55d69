// SPDX-License-Identifier: Apache-2.0

/// Where a key is: `FILE`, or `KID=FILE` if it has a name.
package struct KeyFile: Equatable, Sendable {
    package let name: String?
    package let path: String

    /// What stands before the first `=` is a name if no `/` is in it; so a path with a `=` can be written as `./a=b`.
    package init?(_ text: String) {
        if let sign = text.firstIndex(of: "="), !text[..<sign].contains("/") {
            name = String(text[..<sign])
            path = String(text[text.index(after: sign)...])
        } else {
            name = nil
            path = text
        }
        if path.isEmpty || name == "" { return nil }
    }
}
