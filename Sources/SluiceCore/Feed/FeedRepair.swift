// SPDX-License-Identifier: Apache-2.0

/// The connection was lost, and so perhaps something of each target: what arrives waits until that is made good.
///
///     waiting for the connection ──▶ markers ──▶ logs ──▶ handing on what was held
///                  ▲                    │          │
///                  └──── 200 ms ◀── a read failed ─┘
struct FeedRepair {
    /// Answers to an earlier attempt are of no use.
    var attempt: RepairAttempt
    /// What arrives goes behind what is still held.
    var held = HeldMessages()
    /// Markers of the logs, as far as they have been read.
    private var markers: [(target: Target, marker: LogMarker?)] = []
    private var awaited = 0
    /// The earliest clock of the readings: all of them have everything up to it.
    private(set) var mark = EventID.max
    private(set) var born: UInt64 = 0
    private(set) var lineage = Lineage()
    /// Topics that their markers call closed, by the event with this id.
    var ends: [(target: Target, id: EventID)] = []
    var replay: Replay?
    /// The other nodes have had time to say what another data set lacks.
    var hasWaited = false
    /// The logs are read.
    var isReleasing = false

    init(attempt: RepairAttempt) {
        self.attempt = attempt
    }

    /// - Parameter reads: commands that read markers.
    mutating func begin(reads: Int) {
        awaited = reads
        markers = []
        mark = .max
        born = 0
        replay = nil
    }

    /// - Returns: all markers, once they are there.
    mutating func received(
        _ reading: ClockReading, of targets: [Target]
    ) -> [(target: Target, marker: LogMarker?)]? {
        markers += zip(targets, reading.markers).map { (target: $0, marker: $1) }
        mark = min(mark, reading.clock)
        born = max(born, reading.born)
        lineage = reading.lineage
        awaited -= 1
        guard awaited == 0 else { return nil }
        defer { markers = [] }
        return markers
    }
}

/// One attempt at a repair, of the whole feed or of one target.
package struct RepairAttempt: Hashable, Sendable {
    /// nil: of the whole feed.
    let target: TargetNumber?
    let count: UInt64
}
