// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Gives memory that was freed back to the system.
///
/// glibc keeps it for the next time, so a flood of connections would be seen in the node's size for ever. It takes a
/// millisecond or so, in which who allocates may have to wait.
package enum MemoryTrim {
    private typealias Trim = @convention(c) (Int) -> CInt

    /// In `malloc.h`, which Swift's module of glibc leaves out; nil where another library allocates.
    private static let mallocTrim = dlsym(nil, "malloc_trim").map { unsafeBitCast($0, to: Trim.self) }

    package static func trim() {
        _ = mallocTrim?(0)
    }
}
