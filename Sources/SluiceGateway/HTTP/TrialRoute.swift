// SPDX-License-Identifier: Apache-2.0

/// `GET /`: the page to try the gateway with. It has a link to the dashboard for a browser on the node's own machine, and for
/// no other: a stranger has no way to the operator's listener, and need not know of it.
struct TrialRoute: Sendable {
    /// Where the operator's listener is; nil: nowhere.
    let admin: ListenAddress?

    @Sendable func show(_ request: AuthorizedRequest) -> AuthorizedRequest.Outcome {
        var answer = Page.trial.answer
        if let admin, request.head.address?.isLoopback == true {
            // The one field of its own answer that a page can read.
            answer.headers.append(("Server-Timing", "dashboard;desc=\"\(admin)\""))
        }
        return .answer(answer)
    }
}
