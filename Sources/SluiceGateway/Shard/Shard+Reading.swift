// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// How a stream that is not live is written: from the logs, and from the ring, as its machine says.
extension Shard {
    /// What one stream may read from the ring before the others have their turn, in bytes.
    private static let catchUpBytes = 256 * 1024
    /// What all replays of a shard may hold together, in bytes; each gets an equal part between these bounds.
    private static let replayBytesOfAll = 16 << 20
    private static let replayBytesRange = (32 << 10)...(512 << 10)
    private static let retryDelay = TimeAmount.milliseconds(250)

    /// What the next replay may hold.
    var replayBytes: Int {
        let share = Shard.replayBytesOfAll / (replayCount + 1)
        return min(max(share, Shard.replayBytesRange.lowerBound), Shard.replayBytesRange.upperBound)
    }

    /// Goes on with a stream until it is live, has to wait, or its socket is full.
    func advance(_ stream: Stream) {
        let now = eventLoop.now
        var gathered = ReplayWriter(wire: stream.wire)
        var bytes = 0
        while true {
            switch stream.machine.next(feed, targets: stream.targets, now: now) {
            case .wait:
                if stream.isBehind, stream.machine.isLive { hasCaughtUp(stream) }
                return
            case .event(let entry, let segment, let cursor):
                guard gathered.hasRoom(for: entry.frame) || flush(&gathered, to: stream, now: now) else { return }
                gathered.append(entry, of: segment, cursor: cursor)
            case .gap(let gap, let id):
                counters.gaps.add(1)
                gathered.append(lines: Shard.lines(gap, id: id), id: id?.id)
            case .flush:
                guard flush(&gathered, to: stream, now: now) else { return }
            case .read(let requests, let run): read(requests, for: stream, run)
            case .replayed: replayCount -= 1
            case .write(let position):
                bytes += write(from: position, to: stream, now: now)
                guard bytes > Shard.catchUpBytes else { continue }
                return eventLoop.assumeIsolated().execute { [self] in advance(stream) }
            case .overrun(let position, let partition): refill(stream, in: partition, from: position, now: now)
            case .tell(let gap): send(gap, id: nil, to: stream, now: now)
            case .checkpoint(let cursor): send(lines: ControlBlock.checkpoint(cursor), to: stream, now: now)
            case .finish: return finish(stream, .finished, now: now)
            }
        }
    }

    // MARK: The ring

    /// - Returns: how many bytes there were to write.
    private func write(from position: UInt64, to stream: Stream, now: NIODeadline) -> Int {
        guard let batch = feed.ring.batch(at: position) else { preconditionFailure("\(position) is not in the ring") }
        writer.begin(batch)
        defer { writer.end() }
        let place = stream.machine.placeBefore(batch)
        writer.select(
            stream.numbers, for: stream.machine.wanted(in: batch.partition), from: position, wire: stream.wire,
            place: place,
            isSuperseded: stream.conflates ? { [newestOfKey] in newestOfKey.isSuperseded($0, at: $1) } : nil)
        stream.machine.read(upTo: batch.end)
        counters.eventsDelivered.add(write(batch, place, to: stream, now: now))
        return writer.selectedBytes
    }

    private func refill(_ stream: Stream, in partition: Partition, from position: UInt64, now: NIODeadline) {
        counters.streamsOverrun.add(1)
        let lost = stream.subscriptions.filter {
            $0.partition == partition && stream.machine.hasLost($0.feed, from: position, in: partition)
        }.map(\.target)
        stream.machine.refill(feed, stream.targets, in: partition, replayBytes: replayBytes)
        replayCount += 1
        if !lost.isEmpty { send(Gap(from: nil, to: nil, targets: lost), id: nil, to: stream, now: now) }
    }

    // MARK: The logs

    /// Other servers may have told clients their places.
    func learn(_ lineage: Lineage, in partition: Partition) {
        guard feed.learn(lineage, in: partition) else { return }
        for stream in everyone.streams {
            read(stream) { $0.examine(in: partition, feed, targets: stream.targets, replayBytes: replayBytes) }
        }
    }

    /// An input by which a replay may begin or end.
    ///
    /// - Parameter input: returns whether to go on with the stream.
    func read(_ stream: Stream, _ input: (inout StreamMachine) -> Bool) {
        let replays = stream.machine.replays
        let goesOn = input(&stream.machine)
        replayCount += stream.machine.replays - replays
        if goesOn { advance(stream) }
    }

    /// Writes what was gathered. What the socket does not take is not kept: the machine gives it out again.
    ///
    /// - Returns: whether all of it went out.
    private func flush(_ gathered: inout ReplayWriter, to stream: Stream, now: NIODeadline) -> Bool {
        guard !stream.machine.isEnded else { return false }
        let sent = stream.socket.send(gathered.bytes)
        guard sent < gathered.bytes.readableBytes else {
            stream.machine.replayed(gathered.count, upTo: gathered.highest, now: now)
            counters.eventsDelivered.add(gathered.count)
            gathered.clear()
            return true
        }
        let cut = gathered.cut(after: sent)
        stream.machine.replayed(cut.count, upTo: cut.highest, now: now)
        counters.eventsDelivered.add(cut.count)
        stream.machine.blocked(ringEnd: feed.ring.end, now: now)
        queue(cut.rest, for: stream, now: now)
        return false
    }

    private func read(_ requests: [Replay.Request], for stream: Stream, _ run: Replaying) {
        guard let hub else { return }
        let bound = NIOLoopBound((shard: self, stream: stream, run: run), eventLoop: eventLoop)
        let (mark, partition) = (run.mark, run.partition)
        let conflates = stream.conflates
        hub.run { hub in
            for request in requests {
                hub.logReads(of: partition).read(
                    request.target, after: request.after, through: mark, bytes: request.bytes, conflates: conflates
                ) { outcome in
                    bound.eventLoop.execute {
                        let (shard, stream, run) = bound.value
                        shard.received(outcome, lane: request.lane, of: run, for: stream)
                    }
                }
            }
        }
    }

    private func received(_ outcome: LogReads.Outcome, lane: Int, of run: Replaying, for stream: Stream) {
        switch stream.machine.received(outcome, lane: lane, of: run) {
        case .nothing: break
        case .proceed: advance(stream)
        case .askLater:
            advance(stream)
            eventLoop.assumeIsolated().scheduleTask(in: Shard.retryDelay) { [self] in
                stream.machine.askAgain(run)
                advance(stream)
            }
        }
    }
}
