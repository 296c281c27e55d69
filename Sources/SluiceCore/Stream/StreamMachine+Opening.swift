// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// How a stream begins. Its lanes wait for each other, so that it is known whether the client has everything already, until
/// one of them can't go on or a second has passed: then those that can begin without the others.
extension StreamMachine {
    package enum StartAction: Equatable {
        /// Ask for a reading of these partitions' clocks, and hand each to `begin(reading:…)`.
        case askForReading(PartitionSet)
        /// Everything that it asks for is over, and the client has it. The head is not out: let it say so.
        case refuse
        /// The same, and the head is out.
        case finish
        /// Send the head, if it is not out, and these; then go on with `next`.
        case start(gaps: [Gap], checkpoint: Cursor?)
    }

    /// Another of its targets is not confirmed yet.
    package mutating func waits(in partition: Partition = .first) {
        self[partition].waits()
    }

    /// All targets for which it waits were named.
    ///
    /// - Returns: whether `begin` is next.
    package mutating func named() -> Bool {
        changeAll { $0.confirmed() }
        return mayBegin
    }

    /// One of the targets for which it waits is confirmed. May race with the end.
    ///
    /// - Returns: as for `named`.
    package mutating func confirmed(in partition: Partition = .first) -> Bool {
        self[partition].confirmed()
        return self[partition].isConfirmed && mayBegin
    }

    private var mayBegin: Bool {
        hasLane(\.isConfirmed) && (isHeadSent || !hasLane { $0.isWaiting && !$0.isConfirmed })
    }

    /// Everything that is to be begun can be.
    ///
    /// - Parameter replayBytes: what a replay may hold.
    /// - Returns: nil: nothing can begin yet.
    package mutating func begin(
        _ feed: borrowing FeedView, _ targets: StreamTargets, replayBytes: Int, now: NIODeadline
    ) -> StartAction? {
        var asking = PartitionSet()
        changeAll { lane in
            guard lane.isConfirmed else { return }
            lane.prepare(feed, targets[lane.partition], targets, replayBytes: replayBytes)
            if lane.isAwaitingReading { asking.insert(PartitionSet(lane.partition)) }
        }
        guard asking.isEmpty else { return .askForReading(asking) }
        return start(feed, targets, replayBytes: replayBytes, now: now)
    }

    /// A reading of a clock came, which was made after the confirmations. May race with the end.
    ///
    /// - Returns: nil: the stream is over, or waits for its other lanes.
    package mutating func begin(
        reading: EventID, of partition: Partition = .first, _ feed: borrowing FeedView, _ targets: StreamTargets,
        replayBytes: Int, now: NIODeadline
    ) -> StartAction? {
        guard !isEnded else { return nil }
        self[partition].received(reading: reading, feed, targets[partition], targets, replayBytes: replayBytes)
        return start(feed, targets, replayBytes: replayBytes, now: now)
    }

    /// No reading of this clock can be had now. It is asked for again; the other lanes don't wait for that.
    package mutating func readingFailed(
        of partition: Partition, _ feed: borrowing FeedView, _ targets: StreamTargets, replayBytes: Int,
        now: NIODeadline
    ) -> StartAction? {
        guard !isEnded else { return nil }
        self[partition].behind?.isAway = true
        return start(feed, targets, replayBytes: replayBytes, now: now)
    }

    /// The head has gone out: lanes that are ready wait for no others any more.
    package mutating func proceed(
        _ feed: borrowing FeedView, _ targets: StreamTargets, replayBytes: Int, now: NIODeadline
    ) -> StartAction? {
        others.isEmpty ? nil : begin(feed, targets, replayBytes: replayBytes, now: now)
    }

    private mutating func start(
        _ feed: borrowing FeedView, _ targets: StreamTargets, replayBytes: Int, now: NIODeadline
    ) -> StartAction? {
        guard hasLane(\.isReady), isHeadSent || !hasLane({ $0.isWaiting && $0.behind?.isAway != true }) else {
            return nil
        }
        if areTopicsOver, !hasLane({ !$0.hasAll(targets[$0.partition], feed) }) {
            return isHeadSent ? .finish : .refuse
        }
        lastWrite = now
        lastCursor = now
        var gaps: [Gap] = []
        var isResumed = true
        // A cursor must not pass by what is to be told first.
        let owesGap = hasLane { $0.behind?.owesGap ?? false }
        let hasCheckpoints = hasCheckpoints
        changeAll { lane in
            guard lane.isReady else { return }
            switch lane.begin() {
            case .resumed:
                lane.behind?.owesCheckpoint = hasCheckpoints
                guard let began = feed.rivalBegan(to: lane.cameWith, in: lane.partition) else { break }
                _ = lane.examine(after: began, feed, targets[lane.partition].names, replayBytes: replayBytes)
            case .now: isResumed = false
            case .uncertain(let gap):
                isResumed = false
                gaps.append(gap)
            }
            if owesGap { lane.behind?.owesCheckpoint = hasCheckpoints }
        }
        promise(feed.clocks)
        guard hasCheckpoints, !isResumed, !owesGap else { return .start(gaps: gaps, checkpoint: nil) }
        let cursor = cursor(feed.clocks)
        return .start(gaps: gaps, checkpoint: cursor.id > .zero ? cursor : nil)
    }

    /// The client is told that it is connected, and some lanes can't begin: what is published there from here on is its own.
    /// Of a partition of which nothing was heard yet the others' time has to do.
    func promise(_ clocks: Cut) {
        guard hasLane(\.isWaiting) else { return }
        let latest = (0..<clocks.count).map { clocks[Partition($0)] }.max() ?? .zero
        for lane in [first] + others where lane.isWaiting {
            let clock = clocks[lane.partition]
            lane.promise(after: clock > .zero ? clocks : clocks.with(latest.time, in: lane.partition))
        }
    }

    /// The data set of a partition, perhaps not of one of its own, went back to an older state: what is read of its logs begins
    /// anew, and tells so.
    ///
    /// - Parameter began: it has given out the ids after this one; `.max`: that is not known yet.
    /// - Returns: whether to go on with `next`.
    package mutating func wentBack(
        _ feed: borrowing FeedView, began: EventID, in partition: Partition = .first
    ) -> Bool {
        hasLane { $0.partition == partition } && self[partition].wentBack(feed, began: began)
    }

    /// The ring has passed a lane: it goes on from the logs, like one that comes back.
    package mutating func refill(
        _ feed: borrowing FeedView, _ targets: StreamTargets, in partition: Partition = .first, replayBytes: Int
    ) {
        self[partition].refill(feed, targets[partition], replayBytes: replayBytes)
    }
}
