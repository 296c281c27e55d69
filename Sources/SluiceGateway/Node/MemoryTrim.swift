// SPDX-License-Identifier: Apache-2.0
import Glibc

/// When to give memory back to the system: after a crowd has left.
///
/// glibc keeps what was freed for the next time, so a flood of connections would be seen in the node's size for ever.
/// To look for what can go takes its time, so it is done only where there is something to be found.
package struct MemoryTrim: Sendable {
    /// Fewer leave nothing behind that is worth the work.
    private static let crowd = 500

    private var most = 0

    package init() {}

    /// - Parameter connections: that are open now.
    /// - Returns: whether so many have gone since the last time that memory should be given back.
    package mutating func isDue(connections: Int) -> Bool {
        most = max(most, connections)
        guard most - connections >= max(MemoryTrim.crowd, most / 2) else { return false }
        most = connections
        return true
    }

    private typealias Trim = @convention(c) (Int) -> CInt

    /// In `malloc.h`, which Swift's module of glibc leaves out; nil where another library allocates.
    private static let mallocTrim = dlsym(nil, "malloc_trim").map { unsafeBitCast($0, to: Trim.self) }

    package static func trim() {
        _ = mallocTrim?(0)
    }
}
