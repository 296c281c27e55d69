// SPDX-License-Identifier: Apache-2.0

/// Why a file or a text gives no key.
package struct UnusableKey: Error, Equatable, CustomStringConvertible {
    /// Follows the name of the file.
    package let description: String
}
