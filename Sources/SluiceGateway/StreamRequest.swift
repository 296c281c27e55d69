// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1
import SluiceCore

/// What a `GET /events` asks for, checked.
package struct StreamRequest: Equatable {
    package var targets: [Target] = []
    package var hasCheckpoints = true

    /// `topic` (repeatable), `client`, `checkpoints`. Other names are ignored: pages add their own against caches.
    package init(query: Query, topicsMax: Int) throws(HTTPProblem) {
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
    }

    /// `GET /sse?client_id=c`, as the articles have it.
    package init(articleQuery query: Query) throws(HTTPProblem) {
        guard let client = try query.one("client_id") else { throw .badRequest("client_id is missing") }
        try add(client: client)
    }

    private mutating func add(client: String) throws(HTTPProblem) {
        do {
            targets.append(try Target.client(client))
        } catch { throw .badRequest("the client \(JSONText.quoted(client.prefix(80))) \(error)") }
    }
}
