// SPDX-License-Identifier: Apache-2.0

/// What all targets of one stream have in common, for the decisions that are seldom taken.
package struct StreamTargets {
    /// The same for those of one partition.
    package struct Part {
        package let partition: Partition
        package fileprivate(set) var names: [Target] = []
        /// After this id every event of all of them comes through the feed; nil: of one that is not known yet.
        fileprivate(set) var since: EventID? = .zero
        /// It is known of each topic whether it is over.
        fileprivate(set) var areEndsKnown = true
        /// The newest of the ids that closed its topics; `.zero`: none is closed.
        package fileprivate(set) var end = EventID.zero
    }

    private var first = Part(partition: .first)
    /// Of a stream that listens to several partitions.
    private var others: [Part] = []
    /// Topics that are not over.
    private(set) var openTopics: Int32 = 0
    private var hasTopic = false
    private var hasClient = false

    package init() {}

    /// A stream of topics only is over when they are: clients have no end, nor has what is published to everybody.
    package var mayEnd: Bool { hasTopic && !hasClient }

    /// It listens to what goes to everybody, and to nothing else.
    var isOnlyAll: Bool { !hasTopic && !hasClient }

    package var names: [Target] { others.reduce(first.names) { $0 + $1.names } }

    package subscript(partition: Partition) -> Part {
        if first.partition == partition { return first }
        return others.first { $0.partition == partition } ?? Part(partition: partition)
    }

    package mutating func add(_ target: Target, _ feed: TargetFeed, in partition: Partition = .first) {
        switch target.kind {
        case .all: break
        case .client: hasClient = true
        case .topic:
            hasTopic = true
            if !feed.end.isEnded { openTopics += 1 }
        }
        if first.names.isEmpty { first = Part(partition: partition) }
        if first.partition == partition { return first.add(target, feed) }
        if let index = others.firstIndex(where: { $0.partition == partition }) {
            others[index].add(target, feed)
        } else {
            var part = Part(partition: partition)
            part.add(target, feed)
            others.append(part)
        }
    }
}

extension StreamTargets.Part {
    fileprivate mutating func add(_ target: Target, _ feed: TargetFeed) {
        names.append(target)
        since = since.flatMap { known in feed.since.map { max(known, $0) } }
        guard target.kind == .topic else { return }
        if case .ended(let id) = feed.end { end = max(end, id) }
        if feed.end == .unknown { areEndsKnown = false }
    }
}
