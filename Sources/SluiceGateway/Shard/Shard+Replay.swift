// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// How a stream is written from the logs: one that came back, or that the ring has passed.
extension Shard {
    /// What all replays of a shard may hold together, in bytes; each gets an equal part between these bounds.
    private static let replayBytesOfAll = 16 << 20
    private static let replayBytes = (32 << 10)...(512 << 10)
    private static let retryDelay = TimeAmount.milliseconds(250)

    func startReplay(_ stream: Stream, from start: Replay.Start, mark: EventID, position: UInt64, now: NIODeadline) {
        let cursor: EventID
        var targets = stream.targets
        if case .after(let id) = start {
            cursor = id
        } else {
            cursor = .zero
            // Of what goes to everybody only where nothing else was asked for.
            if targets.count > 1 { targets.removeAll { $0 == .all } }
        }
        stream.state.replay(after: cursor, liveFrom: ring.end, now: now)
        if stream.replay == nil { replayCount += 1 }
        let share = Shard.replayBytesOfAll / replayCount
        stream.replay = StreamReplay(
            replay: Replay(
                targets: targets, from: start, through: mark, born: born,
                bytesMax: min(max(share, Shard.replayBytes.lowerBound), Shard.replayBytes.upperBound)),
            mark: mark, position: position)
    }

    func endReplay(of stream: Stream) {
        guard stream.replay != nil else { return }
        stream.replay = nil
        replayCount -= 1
    }

    func advanceReplay(_ stream: Stream) {
        guard let run = stream.replay, !stream.state.isBlocked else { return }
        let now = eventLoop.now
        var out = ReplayWriter(framing: stream.framing)
        // What the replay was when all that it had given out was written.
        var written = run.replay
        var steps = 0
        func flush() -> Bool {
            guard write(&out, to: stream, windingBack: run, to: written, now: now) else { return false }
            written = run.replay
            steps = 0
            return true
        }
        while true {
            switch run.replay.next() {
            case .event(let entry, let segment, _):
                steps += 1
                guard entry.id > stream.state.floor else { continue }
                if !out.hasRoom(for: entry.frame), !flush() { return }
                out.append(entry, of: segment, steps: steps)
            case .gap(let gap, let id):
                steps += 1
                counters.gaps.add(1)
                out.append(lines: Shard.lines(gap, id: id), id: id, steps: steps, with: writer)
            case .read(let requests):
                // First, because a replay that is wound back asks for it again.
                if flush() { read(requests, for: stream, run) }
                return
            case .wait:
                return
            case .done:
                guard flush() else { return }
                endReplay(of: stream)
                stream.state.begin(after: run.mark, at: run.position, now: now)
                return advance(stream)
            }
        }
    }

    /// Writes what was gathered. What the socket does not take is not kept: the replay goes back to where it was.
    ///
    /// - Returns: whether all of it went out.
    private func write(
        _ out: inout ReplayWriter, to stream: Stream, windingBack run: StreamReplay, to written: Replay,
        now: NIODeadline
    ) -> Bool {
        guard !out.isEmpty else { return true }
        guard stream.state.phase != .ended else { return false }
        let sent = stream.socket.send(out.bytes)
        guard sent < out.bytes.readableBytes else {
            stream.state.wrote(upTo: out.highest, now: now)
            counters.eventsDelivered.add(out.count)
            out.clear()
            return true
        }
        let cut = out.cut(after: sent)
        stream.state.wrote(upTo: cut.highest, now: now)
        counters.eventsDelivered.add(cut.count)
        // Also what was taken after the last frame, and what was to be read, comes again.
        run.replay = written
        for _ in 0..<cut.steps { _ = run.replay.next() }
        stream.state.blocked(ringEnd: ring.end, now: now)
        queue(cut.rest, for: stream)
        return false
    }

    private func read(_ requests: [Replay.Request], for stream: Stream, _ run: StreamReplay) {
        guard let hub else { return }
        let bound = NIOLoopBound((shard: self, stream: stream, run: run), eventLoop: eventLoop)
        let mark = run.mark
        let conflates = stream.conflates
        hub.run { hub in
            for request in requests {
                hub.logReads.read(
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

    private func received(_ outcome: LogReads.Outcome, lane: Int, of run: StreamReplay, for stream: Stream) {
        guard stream.state.phase == .replaying, stream.replay === run else { return }
        switch outcome {
        case .slice(let slice): run.replay.received(slice, lane: lane)
        case .unreadable: run.replay.unreadable(lane: lane)
        case .failed:
            // The broker is away; the stream stays open and goes on when it is back.
            run.replay.failed(lane: lane)
            guard !run.isToAskAgain else { return }
            run.isToAskAgain = true
            eventLoop.assumeIsolated().scheduleTask(in: Shard.retryDelay) { [self] in
                run.isToAskAgain = false
                advance(stream)
            }
            return
        }
        if !run.isToAskAgain { advance(stream) }
    }
}
