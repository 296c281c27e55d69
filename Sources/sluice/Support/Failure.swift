// SPDX-License-Identifier: Apache-2.0

/// What ends a command with exit code 1 and one line on standard error.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
