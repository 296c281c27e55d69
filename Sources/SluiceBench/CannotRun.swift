// SPDX-License-Identifier: Apache-2.0

/// Why a bench can't even begin, in words for a person.
package struct CannotRun: Error, CustomStringConvertible {
    package let description: String
}
