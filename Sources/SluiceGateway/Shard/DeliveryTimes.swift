// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// How long logged events took from Redis to the sockets of live streams.
///
/// Written for many streams at once: the clock is looked at once for each ``streamsMax`` of them.
package struct DeliveryTimes {
    /// A write takes some microseconds, so this is well below the millisecond to which ids are known.
    static let streamsMax = 64

    var tally: TimeHistogram.Tally
    /// In milliseconds since 1970.
    private let wallClock: @Sendable () -> UInt64
    private var now: UInt64 = 0
    private var streamsSince = 0

    package init(_ tally: TimeHistogram.Tally, wallClock: @escaping @Sendable () -> UInt64) {
        self.tally = tally
        self.wallClock = wallClock
    }

    /// A batch is about to be written.
    mutating func begin() {
        now = wallClock()
        streamsSince = 0
    }

    /// So many streams took these entries.
    mutating func add(_ indices: ArraySlice<Int32>, of batch: Batch, streams: Int) {
        streamsSince += streams
        if streamsSince >= DeliveryTimes.streamsMax { begin() }
        for index in indices {
            let id = batch.entries[Int(index)].id
            guard id != .zero else { continue }
            // Clocks of two machines: an event from the future took no time.
            let time = now - min(id.milliseconds, now)
            tally.observe(.milliseconds(Int64(clamping: time)), count: streams)
        }
    }
}
