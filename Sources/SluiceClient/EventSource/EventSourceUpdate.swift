// SPDX-License-Identifier: Apache-2.0

/// What happens to an ``EventSource``, beside the events.
public enum EventSourceUpdate: Equatable, Sendable {
    /// A stream begins. `node`: what a Sluice calls itself; `endsOutage`: a failure before it was told with `isNews`.
    case opened(node: String?, endsOutage: Bool)
    case event(ServerSentEvent)
    /// A comment, without its colon: what a server sends so that the connection is not taken for dead.
    case comment(String)
    /// The stream says how long to wait before coming back.
    case retry(milliseconds: Int64)
    /// There is no connection, and the next one is tried after `wait`.
    ///
    /// `failure`: why, in words for a person; nil if the server ended its response in good order. `isNews`: it is the first
    /// failure of this outage.
    case disconnected(failure: String?, wait: Duration, isNews: Bool)
}
