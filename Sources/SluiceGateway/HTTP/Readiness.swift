// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Whether a load balancer should give this node new streams.
package struct Readiness: Sendable {
    let status: NodeStatus
    /// nil in open mode.
    let tokens: TokenVerifier?

    /// nil: it should; else why not.
    func problem(now: NIODeadline) -> String? {
        status.problem(now: now) ?? (tokens?.hasNoKey == true ? "the keys of --jwks could not be fetched yet" : nil)
    }
}
