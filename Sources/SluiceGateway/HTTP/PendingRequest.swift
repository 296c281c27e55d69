// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore

/// The second stage of a request: its end has not come, or its token is being checked.
struct PendingRequest {
    let message: HTTPRequestHead
    /// Both nil: it can't be carried out, for the reason in `grant`.
    var route: Route?
    var head: RequestHead?
    /// What it may do, or why not; nil: not known yet.
    var grant: Result<Grant, HTTPProblem>?
    var body = ByteBuffer()
    var isWhole = false
    /// It waits for a 100 before it sends its body (RFC 9110 §10.1.1).
    var awaitsContinue = false

    var problem: HTTPProblem? {
        if case .failure(let problem) = grant { problem } else { nil }
    }

    var wantsBody: Bool { message.method == .POST && route?.terms.takesBody == true }
}
