// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What scripts/sanitize changes for the tests: everything takes longer, and a process' memory says nothing.
package enum Sanitizer {
    package static let isOn = ProcessInfo.processInfo.environment["SLUICE_TEST_SANITIZED"] != nil
    package static let slowness: Double = isOn ? 5 : 1
}
