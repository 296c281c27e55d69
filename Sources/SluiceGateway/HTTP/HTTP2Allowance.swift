// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// What the peer of one HTTP/2 connection may have the node do for nothing: some of it at once, which comes back in ten
/// seconds. (What came back in one would let an attacker go on for ever where the node is too busy to see more than that.)
///
/// NIO counts all resets, and cuts the connection at the 201st within 30 s. But a load balancer brings many clients over one
/// connection, and each of them that leaves its stream is a reset: only a request that never got an answer was for nothing.
package struct HTTP2Allowance {
    package enum Kind {
        /// A request that was reset, by either side, before its answer began (CVE-2023-44487, CVE-2025-8671).
        case abandoned
        /// A frame that is wrong for its stream.
        case malformed
        /// PING, SETTINGS, PRIORITY. Go's client sends a PING with each reset, Firefox PRIORITY with each stream.
        case control
    }

    private static let malformedMax = 100
    private static let controlMax = 1000
    /// In seconds.
    private static let recovery: UInt64 = 10

    private var abandoned: TokenBucket
    private var malformed: TokenBucket
    private var control: TokenBucket

    /// - Parameter streamsMax: how many streams the connection may have at once. All their clients may leave together, and
    ///   those that have taken their places as well.
    package init(streamsMax: Int, now: NIODeadline) {
        let now = HTTP2Allowance.slowed(now)
        abandoned = TokenBucket(rate: max(streamsMax, 1) * 2, now: now)
        malformed = TokenBucket(rate: HTTP2Allowance.malformedMax, now: now)
        control = TokenBucket(rate: HTTP2Allowance.controlMax, now: now)
    }

    /// - Returns: whether the peer may go on.
    package mutating func take(_ kind: Kind, now: NIODeadline) -> Bool {
        let now = HTTP2Allowance.slowed(now)
        return switch kind {
        case .abandoned: abandoned.take(now: now)
        case .malformed: malformed.take(now: now)
        case .control: control.take(now: now)
        }
    }

    /// A bucket fills in a second of its own time.
    private static func slowed(_ now: NIODeadline) -> NIODeadline {
        .uptimeNanoseconds(now.uptimeNanoseconds / recovery)
    }
}
