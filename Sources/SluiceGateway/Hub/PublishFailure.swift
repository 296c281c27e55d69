// SPDX-License-Identifier: Apache-2.0

/// Why an event was not published.
package enum PublishFailure: Error, Equatable {
    /// The broker is away or can't take it now, and has not published it.
    case unavailable(String)
    /// The connection was lost while the event was under way: it may have been published.
    case unknown(String)
    /// The broker refused it for good.
    case refused(String)
    /// The target's log can't be one, for good: something else has its name in Redis.
    case conflict(String)
}
