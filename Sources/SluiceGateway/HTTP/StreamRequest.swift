// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore

/// What a `GET /events` asks for, checked.
package struct StreamRequest: Equatable, Sendable {
    /// From where on.
    package enum Resume: Equatable, Sendable {
        /// From now on.
        case fresh
        case after(Cursor)
        /// The whole log.
        case earliest
        /// It brought something that is no cursor: from now on, and a gap says so.
        case malformed
    }

    package var targets: [Target] = []
    package var hasCheckpoints = true
    package var conflates = false
    package var resume = Resume.fresh
    /// How long its token is still good; nil: for ever.
    package var timeLeft: TimeAmount?
    /// The client that its token is of, if it does not listen to that one anyway.
    package var owner: Target?

    /// The client that it listens to.
    package var client: Target? { targets.first { $0.kind == .client } }

    /// `topic` (repeatable), `client`, `checkpoints`, `conflate`, `last_event_id`. Other names are ignored: pages add their own against caches.
    package init(query: Query, headers: HTTPHeaders, topicsMax: Int) throws(HTTPProblem) {
        var seen: Set<Target> = []
        for name in query.all("topic") {
            do {
                let target = try Target.topic(name)
                if seen.insert(target).inserted { targets.append(target) }
            } catch { throw .badRequest("the topic \(JSONText.quoted(name.prefix(80))) \(error)") }
        }
        guard targets.count <= topicsMax else {
            throw .badRequest("\(targets.count) topics; a stream may have \(topicsMax)")
        }
        if let client = try query.one("client") { try add(client: client) }
        guard !targets.isEmpty else { throw .badRequest("name at least one topic= or a client=") }
        hasCheckpoints = try query.flag("checkpoints", default: true)
        conflates = try query.flag("conflate", default: false)
        resume = StreamRequest.resume(query: query, headers: headers)
    }

    /// `GET /sse?client_id=c`, as the articles have it.
    package init(articleQuery query: Query, headers: HTTPHeaders) throws(HTTPProblem) {
        guard let client = try query.one("client_id") else { throw .badRequest("client_id is missing") }
        try add(client: client)
        resume = StreamRequest.resume(query: query, headers: headers)
    }

    /// The header wins: it is newer than the URL, which a browser repeats. Never an error, which would end an
    /// `EventSource` for good. `lastEventId` is what a widespread polyfill sends.
    private static func resume(query: Query, headers: HTTPHeaders) -> Resume {
        let given =
            headers.first(name: "last-event-id") ?? query.all("last_event_id").last ?? query.all("lastEventId").last
        guard let text = given, !text.isEmpty else { return .fresh }
        if text == "earliest" { return .earliest }
        return Cursor(text).map { .after($0) } ?? .malformed
    }

    private mutating func add(client: String) throws(HTTPProblem) {
        do {
            targets.append(try Target.client(client))
        } catch { throw .badRequest("the client \(JSONText.quoted(client.prefix(80))) \(error)") }
    }
}
