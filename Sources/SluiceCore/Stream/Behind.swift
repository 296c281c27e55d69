// SPDX-License-Identifier: Apache-2.0

/// What only a lane has that is not live: where it stands instead, and what its stream is owed.
///
/// A class, because most lanes are live and should not carry its size.
final class Behind {
    enum Stage {
        /// So many of its targets are not confirmed yet.
        case confirming(Int)
        /// Its targets were confirmed when the ring ended here; a reading of the clock is asked for.
        case awaitingReading(UInt64)
        /// They were, and it is known where it begins: it waits for the stream's other lanes.
        indirect case ready(Beginning)
        case replaying(Replaying)
        /// Reads the ring from this position on.
        case reading(UInt64)
    }

    /// Where a lane begins.
    struct Beginning {
        enum Kind {
            /// Where the client was, or with the logs.
            case resumed
            case now
            /// Now, and nobody knows what the client lacks.
            case uncertain(Gap)
        }

        var kind: Kind
        /// Events up to here are not for this stream, late ones up to there.
        var floor: EventID
        var start: EventID
        var stage: Stage
        /// The client wants what the logs have, or nobody knows what it has had.
        var mayLack: Bool
    }

    var stage: Stage
    var resume = Resume.fresh
    /// The broker could not be asked for a reading: the stream's other lanes don't wait for it.
    var isAway = false
    /// Live-only events before this position were there before the stream.
    var liveFrom: UInt64 = 0
    /// The newest id that had come before that position. It may be later than a reading of the clock, if a former master gave it out.
    var newest = EventID.zero
    /// The first cursor of a resumed stream follows its replay.
    var owesCheckpoint = false
    /// What was lost while nothing could be told; several losses are told as one.
    private var owed: Gap?
    private var owedTargets: Set<Target> = []
    /// Of a stream's first lane: writes that wait in the channel. Nothing passes them by.
    var queuedWrites = 0
    /// Bytes that waited when somebody looked last: if fewer wait the next time, the client still reads.
    var queuedBytes = 0

    init(_ stage: Stage) {
        self.stage = stage
    }

    func owe(_ gap: Gap) {
        owedTargets.formUnion(gap.targets)
        guard let old = owed else {
            owed = Gap(from: gap.from, to: gap.to, targets: [])
            return
        }
        // A loss of live-only events has no ids.
        let from =
            if old.to == nil { gap.from } else if gap.to == nil { old.from } else {
                old.from.flatMap { old in gap.from.map { min(old, $0) } }
            }
        owed = Gap(from: from, to: [old.to, gap.to].compactMap(\.self).max(), targets: [])
    }

    var owesGap: Bool { owed != nil }

    /// What is owed, with its targets.
    var gap: Gap? {
        owed.map { Gap(from: $0.from, to: $0.to, targets: owedTargets.sorted { $0.description < $1.description }) }
    }

    func takeOwed() -> Gap? {
        guard let gap else { return nil }
        owed = nil
        owedTargets = []
        return gap
    }

    /// The stream gets everything between the two another way.
    func forgetOwed(upTo id: EventID, after start: EventID = .zero) {
        guard let to = owed?.to, to <= id, to > start else { return }
        owed = nil
        owedTargets = []
    }
}
