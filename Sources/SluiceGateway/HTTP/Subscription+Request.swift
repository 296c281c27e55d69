// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore

extension Subscription {
    /// `topic` or `channel` (repeatable), `client`, `client_id` or `user_id`, `checkpoints`, `conflate`, `last_event_id`.
    /// Other names are ignored: pages add their own against caches.
    package init(query: Query, headers: HTTPHeaders, topicsMax: Int) throws(HTTPProblem) {
        self.init()
        var seen: Set<Target> = []
        for name in try query.all("topic") + query.all("channel") {
            do {
                let target = try Target.topic(name)
                if seen.insert(target).inserted { targets.append(target) }
            } catch { throw .badRequest("the topic \(JSONText.quoted(name.prefix(80))) \(error)") }
        }
        guard targets.count <= topicsMax else {
            throw .badRequest("\(targets.count) topics; a stream may have \(topicsMax)")
        }
        if let client = try query.client() {
            do {
                targets.append(try Target.client(client))
            } catch { throw .badRequest("the client \(JSONText.quoted(client.prefix(80))) \(error)") }
        }
        hasCheckpoints = try query.flag("checkpoints", default: true)
        conflates = try query.flag("conflate", default: false)
        resume = Subscription.resume(query: query, headers: headers)
    }

    /// The newest cursor of all: a browser repeats the URL and adds the header, and a widespread polyfill repeats the URL
    /// and adds `lastEventId`. What is malformed beside it counts as little as what is empty: after the newest cursor
    /// nothing is missed. Never an error, which would end an `EventSource` for good.
    private static func resume(query: Query, headers: HTTPHeaders) -> Resume {
        var resume = Resume.fresh
        let undecodable = ["?"]
        for text in headers["last-event-id"] + ((try? query.all("last_event_id")) ?? undecodable)
            + ((try? query.all("lastEventId")) ?? undecodable)
        where !text.isEmpty {
            resume = resume.preferred(to: Resume(text))
        }
        return resume
    }
}

extension Resume {
    /// - Parameter text: not empty.
    fileprivate init(_ text: String) {
        switch text {
        case "earliest": self = .earliest
        case "available": self = .available
        default: self = Cursor(text).map { .after($0) } ?? .malformed
        }
    }

    private var rank: Int {
        switch self {
        case .fresh: 0
        case .malformed: 1
        case .available: 2
        case .earliest: 3
        case .after: 4
        }
    }

    /// The one that is to be obeyed where a request has both.
    fileprivate func preferred(to other: Self) -> Self {
        if case .after(let own) = self, case .after(let others) = other { return own.id < others.id ? other : self }
        return rank < other.rank ? other : self
    }
}
