// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

extension ClockReading {
    /// Reads the clock, and some logs' markers. The clock comes first: a marker that is later says nothing of what was before.
    package static func commands(
        _ partition: Partition, markersOf targets: [Target], names: RedisNames
    ) -> [RESPCommand] {
        let clock: RESPCommand = ["HMGET", names.clock(partition), "last", "born", "runs"]
        return targets.isEmpty ? [clock] : [clock, RESPCommand(["MGET"] + targets.map { names.marker($0) })]
    }

    /// nil if these are no replies to the commands for `count` markers, or there is no clock: a data set without one is a new
    /// one, of which the next tick says when it was born.
    package init?(replies: [RESPValue], markers count: Int) {
        let markers = replies.dropFirst().first?.array ?? []
        guard let fields = replies.first?.array, fields.count == 3, markers.count == count else { return nil }
        self.init(
            fields[0].string.flatMap { EventID($0) }, fields[1].string.flatMap { UInt64($0) },
            Lineage(text: fields[2].string ?? ""), markers.map { $0.string.flatMap { LogMarker($0) } })
    }

    /// `tick <clock> <born>`, which the function publishes on the node's own channel; nil for anything else.
    package init?(tick payload: UnsafeRawBufferPointer) {
        let words = payload.split(separator: UInt8(ascii: " "))
        guard words.count == 3, words[0].elementsEqual("tick".utf8) else { return nil }
        self.init(EventID(words[1]), UInt64(String(decoding: words[2], as: UTF8.self)), Lineage(), [])
    }

    /// An ``EventID`` has looked at its own digits.
    private init?(_ clock: EventID?, _ born: UInt64?, _ lineage: Lineage, _ markers: [LogMarker?]) {
        guard let clock, let born, born < EventID.timeLimit else { return nil }
        self.init(clock: clock, born: born, lineage: lineage, markers: markers)
    }
}
