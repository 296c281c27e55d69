// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore

/// A request whose end has not come, or whose token is being checked.
struct IncomingRequest {
    let head: HTTPRequestHead
    /// nil: it can't be carried out, for the reason in `grant`.
    let visit: Visit?
    /// What it may do, or why not; nil: not known yet.
    var grant: Result<Grant, HTTPProblem>?
    var body = ByteBuffer()
    var isWhole = false
    /// It waits for a 100 before it sends its body (RFC 9110 §10.1.1).
    var awaitsContinue = false

    var problem: HTTPProblem? {
        if case .failure(let problem) = grant { problem } else { nil }
    }

    /// Only what is published has a body that matters.
    var wantsBody: Bool { head.method == .POST }
}
