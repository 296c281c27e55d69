// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// What a shard looks at once a second, because it may wait for a stranger too long.
package protocol Watched: AnyObject {
    /// - Returns: whether to look again.
    func check(now: NIODeadline) -> Bool
}
