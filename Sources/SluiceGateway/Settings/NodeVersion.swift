// SPDX-License-Identifier: Apache-2.0

/// Which Sluice this is: in the metrics and in the registry.
package enum NodeVersion {
    package static let current = "0.1.0"
}
