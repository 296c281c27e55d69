// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The time that other machines know, too.
package enum WallClock {
    /// Since 1970.
    @Sendable package static func milliseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
    }
}
