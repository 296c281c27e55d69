// SPDX-License-Identifier: Apache-2.0

/// Where a stream stands in a partition.
package enum StreamPhase: Equatable, Sendable {
    case confirming
    case awaitingReading
    case ready
    case replaying
    case reading(UInt64)
    case live
    case ended
}
