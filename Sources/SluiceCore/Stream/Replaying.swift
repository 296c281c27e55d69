// SPDX-License-Identifier: Apache-2.0
import DequeModule

/// What is being read from the logs for one lane, and where it goes on in the ring afterwards.
///
/// Its identity tells the answers to its own questions from those to an earlier one's.
package final class Replaying {
    enum Step {
        case event(LogSegment.Entry, in: LogSegment)
        case gap(Gap, id: EventID?)
    }

    /// What is to be done once a request was answered.
    package enum PageAction: Equatable {
        /// Go on with `next`.
        case proceed
        /// Call `askAgain` after a while.
        case askLater
        /// It is over, or waits to ask again already.
        case nothing
    }

    package let partition: Partition
    var replay: Replay
    let targets: [Target]
    /// Where it goes on in the ring.
    let position: UInt64
    /// Was given out, and has not gone out yet: if the socket is full, it is given out again.
    private var given: Deque<Step> = []
    /// How much of it was given out since the socket took something.
    private(set) var offered = 0
    /// The broker was away: it is asked again after a while.
    var isToAskAgain = false
    /// The logs are read from before the client's place: what they have up to this id is not given out.
    let hadUpTo: EventID
    /// What the client is told if the logs have anything in there, or if that can't be found out; nil: it was told, they have
    /// nothing, or there is nothing of that kind.
    private(set) var suspected: Gap?
    /// It was given out at this place, and has not gone out yet.
    private var suspectedPlace: Int?

    init(
        _ replay: Replay, of targets: [Target], in partition: Partition, at position: UInt64,
        hadUpTo: EventID = .zero, suspected: Gap? = nil
    ) {
        self.partition = partition
        self.replay = replay
        self.targets = targets
        self.position = position
        self.hadUpTo = hadUpTo
        self.suspected = suspected
    }

    /// The logs are read up to here.
    package var mark: EventID { replay.mark }

    /// What was given out keeps much in memory of which the replay has let go.
    var holdsMuch: Bool { replay.releasedBytes > replay.bytesMax }

    /// What has to be given out once more.
    func again() -> Step? {
        guard offered < given.count else { return nil }
        offered += 1
        return given[offered - 1]
    }

    func give(_ step: Step) -> Step {
        given.append(step)
        offered += 1
        return step
    }

    /// - Parameter id: the logs have, or had, something with this id.
    /// - Returns: nil: it was given out already, or that is something else.
    func giveSuspected(at id: EventID = .zero) -> Step? {
        guard suspectedPlace == nil, let gap = suspected, gap.to.map({ id <= $0 }) ?? true else { return nil }
        suspectedPlace = given.count
        return give(.gap(gap, id: nil))
    }

    /// The logs have nothing in there.
    func forgetSuspected() {
        if suspectedPlace == nil { suspected = nil }
    }

    /// There is nothing left to be given out to a client that has everything up to `floor`.
    func isNeedless(_ floor: EventID) -> Bool { hadUpTo > .zero && replay.newest <= floor && suspected == nil }

    func wrote(_ count: Int) {
        if let place = suspectedPlace {
            suspectedPlace = place < count ? nil : place - count
            if place < count { suspected = nil }
        }
        given.removeFirst(count)
        offered -= count
        if given.count <= 1 { replay.releasedBytes = 0 }
    }

    func rewind() {
        offered = 0
    }
}

@available(*, unavailable)
extension Replaying: Sendable {}
