// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// The streams of a shard whose clients take less than there is for them, and since when.
struct SlowStreams {
    private var since: [ObjectIdentifier: (stream: Stream, time: NIODeadline)] = [:]

    mutating func insert(_ stream: Stream, now: NIODeadline) {
        since[ObjectIdentifier(stream)] = (stream, now)
    }

    mutating func remove(_ stream: Stream) {
        since[ObjectIdentifier(stream)] = nil
    }

    /// - Parameter end: of the ring.
    func slowest(now: NIODeadline, ringEnd end: UInt64) -> [SlowStream] {
        var found: [(stream: Stream, time: NIODeadline)] = []
        for one in since.values where found.count < SlowStream.countMax || one.time < found[found.count - 1].time {
            found.insert(one, at: found.firstIndex { one.time < $0.time } ?? found.count)
            if found.count > SlowStream.countMax { found.removeLast() }
        }
        return found.map { stream, time in
            let name = (stream.owner ?? stream.client).map { "\($0)" } ?? stream.address.map { "\($0)" } ?? ""
            return SlowStream(
                name: name, seconds: Double((now - time).nanoseconds) / 1e9,
                events: Int(clamping: stream.machine.backlog(to: end)))
        }
    }
}
