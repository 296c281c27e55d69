// SPDX-License-Identifier: Apache-2.0

/// What all targets of one stream have in common, for the decisions that are seldom taken.
package struct StreamTargets {
    package private(set) var names: [Target] = []
    /// After this id every event of all of them comes through the feed; nil: of one that is not known yet.
    private(set) var since: EventID? = .zero
    /// It is known of each topic whether it is over.
    private(set) var areEndsKnown = true
    /// Topics that are not over.
    private(set) var openTopics: Int32 = 0
    private var hasTopic = false
    private var hasClient = false
    /// The newest of the ids that closed its topics; `.zero`: none is closed.
    package private(set) var end = EventID.zero

    package init() {}

    /// A stream of topics only is over when they are: clients have no end, nor has what is published to everybody.
    package var mayEnd: Bool { hasTopic && !hasClient }

    package mutating func add(_ target: Target, _ feed: TargetFeed) {
        names.append(target)
        since = since.flatMap { known in feed.since.map { max(known, $0) } }
        switch target.kind {
        case .all: return
        case .client: hasClient = true
        case .topic:
            hasTopic = true
            if case .ended(let id) = feed.end { end = max(end, id) } else { openTopics += 1 }
            if feed.end == .unknown { areEndsKnown = false }
        }
    }
}
