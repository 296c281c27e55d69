// SPDX-License-Identifier: Apache-2.0
import Glibc

/// How many descriptors this process may have.
enum OpenFileLimit {
    /// - Throws: ``CannotRun`` if the system does not allow so many.
    static func raise(to needed: Int) throws {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        guard limit.rlim_cur < rlim_t(needed) else { return }
        guard limit.rlim_max >= rlim_t(needed) else {
            throw CannotRun(
                description:
                    "\(needed) open files are needed, and this process may have \(limit.rlim_max) (ulimit -Hn); use fewer streams, "
                    + "or several processes")
        }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
