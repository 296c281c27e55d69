// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Testing

@Suite("StreamMachine, as time goes by")
struct StreamTimeTests {
    private typealias Tables = StreamTables

    private static func wake(
        _ stream: inout StreamMachine, at seconds: Int64, clock: EventID = .zero
    ) -> (action: StreamMachine.WakeAction, next: NIODeadline) {
        stream.wake(now: Tables.at(seconds), clocks: Cut(clock), limits: Tables.limits)
    }

    @Test("a quiet stream gets a heartbeat after the interval, not before, and each write puts it off")
    func heartbeat() {
        var stream = Tables.live()
        var (action, next) = Self.wake(&stream, at: 14)
        #expect(action == .sleep)
        #expect(next == Tables.at(15))
        (action, next) = Self.wake(&stream, at: 15)
        #expect(action == .heartbeat)
        #expect(next == Tables.at(30))
        stream.wrote(upTo: EventID(11, 0), now: Tables.at(20))
        (action, next) = Self.wake(&stream, at: 30)
        #expect(action == .sleep)
        #expect(next == Tables.at(35))
        (action, _) = Self.wake(&stream, at: 35)
        #expect(action == .heartbeat)
    }

    @Test(
        "a stream that waits for Redis has its heartbeat, and no checkpoint", arguments: [true, false])
    func waitingHeartbeat(isReplaying: Bool) {
        var stream = isReplaying ? Tables.replaying() : Tables.confirming()
        _ = stream.takeHead()
        #expect(Self.wake(&stream, at: 14, clock: EventID(500, 0)) == (.sleep, Tables.at(15)))
        #expect(Self.wake(&stream, at: 15, clock: EventID(500, 0)) == (.heartbeat, Tables.at(30)))
        #expect(Self.wake(&stream, at: 400, clock: EventID(500, 0)).action == .heartbeat)
        stream.blocked(ringEnd: 5, now: Tables.at(400))
        #expect(Self.wake(&stream, at: 420).action == .sleep, "not within a frame")
    }

    @Test("a cursor that grew old is renewed if the clock has moved on, and stands for a heartbeat")
    func checkpoint() {
        var stream = Tables.live()
        stream.wrote(upTo: EventID(11, 0), now: Tables.at(0))
        var (action, next) = Self.wake(&stream, at: 299, clock: EventID(500, 0))
        #expect(action == .heartbeat)
        #expect(next == Tables.at(300))
        (action, next) = Self.wake(&stream, at: 300, clock: EventID(500, 0))
        #expect(action == .checkpoint(Cursor(EventID(500, 0))))
        #expect(next == Tables.at(315))
        #expect(stream.floor() == EventID(500, 0))
        (action, next) = Self.wake(&stream, at: 314, clock: EventID(600, 0))
        #expect(action == .sleep)
        #expect(next == Tables.at(315))
    }

    @Test("live-only events do not renew the cursor, a logged event does", arguments: [true, false])
    func cursorAge(_ isLogged: Bool) {
        var stream = Tables.live()
        stream.wrote(upTo: isLogged ? EventID(11, 0) : .zero, now: Tables.at(290))
        let (action, next) = Self.wake(&stream, at: 300, clock: EventID(500, 0))
        #expect(action == (isLogged ? .sleep : .checkpoint(Cursor(EventID(500, 0)))))
        #expect(next == Tables.at(isLogged ? 305 : 315))
    }

    @Test(
        "a clock that has not moved gives no checkpoint, and the stream keeps its heartbeat",
        arguments: [0, 9, 10] as [UInt64])
    func checkpointNotNeeded(_ clock: UInt64) {
        var stream = Tables.live()
        let (action, next) = Self.wake(&stream, at: 300, clock: EventID(clock, 0))
        #expect(action == .heartbeat)
        #expect(next == Tables.at(315))
        #expect(stream.floor() == EventID(10, 0))
    }

    @Test("a stream that still reads gets no checkpoint and no heartbeat between its events")
    func readingIsLeftAlone() {
        var stream = Tables.begun()
        let (action, next) = Self.wake(&stream, at: 400, clock: EventID(500, 0))
        #expect(action == .sleep)
        #expect(next == Tables.at(415))
        #expect(stream.floor() == EventID(10, 0))
    }

    @Test("a blocked stream gets nothing, and is stalled once nothing went out for the limit")
    func stall() {
        var stream = Tables.live()
        stream.fellBehind(at: 6, ringEnd: 6, now: Tables.at(100))
        var (action, next) = Self.wake(&stream, at: 129, clock: EventID(500, 0))
        #expect(action == .sleep)
        #expect(next == Tables.at(130))
        stream.progressed(now: Tables.at(129))
        (action, next) = Self.wake(&stream, at: 158)
        #expect(action == .sleep)
        #expect(next == Tables.at(159))
        (action, next) = Self.wake(&stream, at: 159)
        #expect(action == .stalled)
        #expect(next == .distantFuture)
    }

    @Test("being blocked again while blocked does not put the stall off; an unblocked stream starts anew")
    func stallClock() {
        var stream = Tables.live()
        stream.blocked(ringEnd: 5, now: Tables.at(10))
        stream.blocked(ringEnd: 5, now: Tables.at(30))
        #expect(Self.wake(&stream, at: 40).action == .stalled)
        _ = stream.unblocked(now: Tables.at(39))
        #expect(Self.wake(&stream, at: 40).action == .sleep)
        _ = stream.unblocked(now: Tables.at(45))
        stream.blocked(ringEnd: 5, now: Tables.at(60))
        #expect(Self.wake(&stream, at: 89).action == .sleep)
        #expect(Self.wake(&stream, at: 90).action == .stalled)
    }

    @Test("a stream expires at its time in whatever stream, and no look is planned beyond it")
    func expiry() {
        let expiry = Tables.at(20)
        var live = Tables.live(expiry: expiry)
        #expect(Self.wake(&live, at: 15) == (.heartbeat, expiry))
        #expect(Self.wake(&live, at: 20) == (.expired, .distantFuture))
        var blocked = Tables.live(expiry: expiry)
        blocked.blocked(ringEnd: 5, now: Tables.start)
        #expect(Self.wake(&blocked, at: 1) == (.sleep, expiry))
        #expect(Self.wake(&blocked, at: 20) == (.expired, .distantFuture))
        var reading = Tables.begun(expiry: expiry)
        #expect(Self.wake(&reading, at: 10) == (.sleep, expiry))
    }

    @Test("an ended stream is never looked at again")
    func endedSleeps() {
        var stream = Tables.live()
        stream.end()
        #expect(Self.wake(&stream, at: 1000, clock: .max) == (.sleep, .distantFuture))
    }
}
