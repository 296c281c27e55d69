// SPDX-License-Identifier: Apache-2.0
import DequeModule
import NIOCore

/// The pieces of logs that were read last, so that streams that need the same part of a log share one read of it, also
/// if they come to it one after the other. Bounded in bytes: what was used longest ago is forgotten.
package struct LogCache {
    private struct Page {
        let segment: LogSegment
        /// If the segment is the log's last: everything up to this reading of the clock is in it.
        let coveredUpTo: EventID
        let readAt: NIODeadline
        var stamp: UInt64
    }

    private struct Use {
        let target: Target
        let after: EventID
        let stamp: UInt64
    }

    /// An entry that an operator deletes must not be replayed for much longer.
    private static let age = TimeAmount.seconds(60)
    /// Pages of one log may overlap: so many of them are looked at for one that reaches far enough.
    private static let overlapMax = 4

    private let bytesMax: Int
    /// Of each log, by the id after which they begin.
    private var pages: [Target: [Page]] = [:]
    /// Oldest first; only the last use of a page counts.
    private var uses: Deque<Use> = []
    private var count = 0
    private var stamp: UInt64 = 0
    package private(set) var bytes = 0

    package init(bytesMax: Int) {
        self.bytesMax = bytesMax
    }

    /// What the cache has of a log after `id`, for a reader that reads up to `mark`.
    package mutating func slice(
        of target: Target, after id: EventID, through mark: EventID, now: NIODeadline
    ) -> LogSlice? {
        guard let candidates = pages[target] else { return nil }
        let end = candidates.partitioningIndex { $0.segment.after > id }
        for index in stride(from: end - 1, through: max(0, end - LogCache.overlapMax), by: -1) {
            let page = candidates[index]
            let isLast = page.segment.isLast && page.coveredUpTo >= mark
            guard id < page.segment.upTo || isLast, now < page.readAt + LogCache.age else { continue }
            touch(target, index)
            return LogSlice(page.segment, start: page.segment.index(after: id), isLast: isLast)
        }
        return nil
    }

    /// - Parameter coveredUpTo: a reading of the clock that was made before the segment was read.
    package mutating func insert(
        _ segment: LogSegment, of target: Target, coveredUpTo: EventID, now: NIODeadline
    ) {
        let page = Page(segment: segment, coveredUpTo: coveredUpTo, readAt: now, stamp: 0)
        let index = pages[target]?.partitioningIndex { $0.segment.after >= segment.after } ?? 0
        if let old = pages[target], index < old.count, old[index].segment.after == segment.after {
            bytes -= old[index].segment.size
            pages[target]?[index] = page
        } else {
            pages[target, default: []].insert(page, at: index)
            count += 1
        }
        bytes += segment.size
        touch(target, index)
        shrink()
    }

    /// The log's marker has changed behind what was read.
    package mutating func remove(_ target: Target) {
        guard let list = pages.removeValue(forKey: target) else { return }
        count -= list.count
        bytes -= list.reduce(0) { $0 + $1.segment.size }
    }

    /// The data set may be another one.
    package mutating func removeAll() {
        self = LogCache(bytesMax: bytesMax)
    }

    private mutating func touch(_ target: Target, _ index: Int) {
        stamp += 1
        guard let after = pages[target]?[index].segment.after else { return }
        pages[target]?[index].stamp = stamp
        uses.append(Use(target: target, after: after, stamp: stamp))
        guard uses.count > 4 * count + 64 else { return }
        uses = Deque(uses.filter { isLast($0) })
    }

    private func isLast(_ use: Use) -> Bool {
        guard let list = pages[use.target] else { return false }
        let index = list.partitioningIndex { $0.segment.after >= use.after }
        return index < list.count && list[index].stamp == use.stamp
    }

    /// What was read last stays, however large it is: somebody waits for it.
    private mutating func shrink() {
        while bytes > bytesMax, count > 1, let use = uses.popFirst() {
            guard isLast(use), let list = pages[use.target] else { continue }
            let index = list.partitioningIndex { $0.segment.after >= use.after }
            bytes -= list[index].segment.size
            count -= 1
            pages[use.target]?.remove(at: index)
            if pages[use.target]?.isEmpty == true { pages[use.target] = nil }
        }
    }
}

extension Array {
    /// The first index whose element is `true` for a predicate that is false up to some element and true from there on.
    fileprivate func partitioningIndex(where isPast: (Element) -> Bool) -> Int {
        var low = startIndex
        var high = endIndex
        while low < high {
            let middle = (low + high) / 2
            if isPast(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
