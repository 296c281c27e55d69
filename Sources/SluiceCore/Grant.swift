// SPDX-License-Identifier: Apache-2.0

/// What a request may do.
package struct Grant: Sendable, Equatable {
    /// The client that the request speaks for; nil: none.
    package var client: String?
    package var subscribe: [TargetPattern]
    package var publish: [TargetPattern]
    /// May everything, and may use the routes that see or end other people's streams.
    package var isAdmin: Bool
    /// When it ends, in milliseconds since 1970; nil: it has no end.
    package var expiry: Int64?
    /// What a limit on rates is kept for: the same for each request with the same token; empty for those without one.
    package var id: String

    package init(
        client: String? = nil, subscribe: [TargetPattern] = [], publish: [TargetPattern] = [], isAdmin: Bool = false,
        expiry: Int64? = nil, id: String = ""
    ) {
        self.client = client
        self.subscribe = subscribe
        self.publish = publish
        self.isAdmin = isAdmin
        self.expiry = expiry
        self.id = id
    }

    /// Open mode: anybody may do anything.
    package static let everything = Grant(isAdmin: true)

    /// Of a request without a token: it may subscribe to some topics, and publish nothing.
    package static func anonymous(_ patterns: [TargetPattern]) -> Grant {
        Grant(subscribe: patterns)
    }

    /// A client's events are for that client: it needs no pattern for its own, and another's are only for whom a
    /// `client:` pattern names them. `.all` is for every stream, so nobody needs a grant for it.
    package func maySubscribe(to target: Target) -> Bool {
        if isAdmin || target.kind == .all { return true }
        if let client, target.kind == .client, target.name.utf8.elementsEqual(client.utf8) { return true }
        return subscribe.contains { $0.matches(target) }
    }

    /// Whether there is anything that it may subscribe to; then it may also have a stream of what is published to everybody.
    package var maySubscribeToSomething: Bool { isAdmin || client != nil || !subscribe.isEmpty }

    /// The bare `*` is everything: topics, clients and everybody (`.all`). No other pattern is for everybody, so that whoever
    /// was given all topics (`topic:*`) can't reach every stream. A client may not publish to itself without a pattern.
    package func mayPublish(to target: Target) -> Bool {
        isAdmin || publish.contains { $0.isBareStar || $0.matches(target) }
    }
}
