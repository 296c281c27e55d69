// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Testing

@Suite("StreamState")
struct StreamStateTests {
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
    private static let limits = StreamState.Limits(
        heartbeat: .seconds(15), checkpoint: .seconds(300), stall: .seconds(30))

    private static func at(_ seconds: Int64) -> NIODeadline { start + .seconds(seconds) }

    private static func opening(expiry: NIODeadline? = nil) -> StreamState { StreamState(now: start, expiry: expiry) }

    private static func reading(_ position: UInt64 = 5) -> StreamState {
        var state = opening()
        state.begin(after: EventID(10, 0), at: position, now: start)
        return state
    }

    private static func live(expiry: NIODeadline? = nil) -> StreamState {
        var state = opening(expiry: expiry)
        state.begin(after: EventID(10, 0), at: 5, now: start)
        _ = state.next(ringStart: 0, ringEnd: 5)
        return state
    }

    private static func replaying() -> StreamState {
        var state = opening()
        state.replay(after: EventID(10, 0), liveFrom: 3, now: start)
        return state
    }

    private static func ended() -> StreamState {
        var state = live()
        state.end()
        return state
    }

    // MARK: Phases

    enum Input: CaseIterable, Sendable {
        case begin, replay, fellBehind, blocked, unblocked, nextBehind, nextAtEnd, nextPassed, read, end
    }

    private static func apply(_ input: Input, to state: inout StreamState) -> StreamState.ReadAction? {
        switch input {
        case .begin: state.begin(after: EventID(99, 0), at: 7, now: at(1))
        case .replay: state.replay(after: EventID(98, 0), liveFrom: 4, now: at(1))
        case .fellBehind: state.fellBehind(at: 8, now: at(1))
        case .blocked: state.blocked(ringEnd: 9, now: at(1))
        case .unblocked: state.unblocked(now: at(1))
        case .nextBehind: return state.next(ringStart: 5, ringEnd: 9)
        case .nextAtEnd: return state.next(ringStart: 0, ringEnd: 5)
        case .nextPassed: return state.next(ringStart: 6, ringEnd: 9)
        case .read: state.read(upTo: 6)
        case .end: state.end()
        }
        return nil
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let phase: StreamState.Phase
        let isBlocked: Bool
        let input: Input
        let expected: StreamState.Phase
        var action: StreamState.ReadAction?
        var blockedAfter: Bool?

        var testDescription: String { "\(phase)\(isBlocked ? ", blocked" : ""): \(input)" }

        init(
            _ phase: StreamState.Phase, _ input: Input, _ expected: StreamState.Phase,
            _ action: StreamState.ReadAction? = nil, blocked: Bool = false, after: Bool? = nil
        ) {
            (self.phase, self.input, self.expected, self.action) = (phase, input, expected, action)
            (isBlocked, blockedAfter) = (blocked, after)
        }
    }

    private static let table: [Row] = [
        Row(.opening, .begin, .reading(7)), Row(.opening, .fellBehind, .opening),
        Row(.opening, .blocked, .opening, after: true), Row(.opening, .nextBehind, .opening, .nothing),
        Row(.opening, .nextAtEnd, .opening, .nothing), Row(.opening, .nextPassed, .opening, .nothing),
        Row(.opening, .read, .opening), Row(.opening, .end, .ended),
        Row(.opening, .begin, .reading(7), blocked: true, after: true),

        Row(.reading(5), .begin, .reading(5)), Row(.reading(5), .fellBehind, .reading(8), after: true),
        Row(.reading(5), .blocked, .reading(5), after: true),
        Row(.reading(5), .nextBehind, .reading(5), .read(from: 5)),
        Row(.reading(5), .nextAtEnd, .live, .nothing), Row(.reading(5), .nextPassed, .reading(5), .overrun),
        Row(.reading(5), .read, .reading(6)), Row(.reading(5), .end, .ended), Row(.reading(5), .unblocked, .reading(5)),

        Row(.reading(5), .nextBehind, .reading(5), .nothing, blocked: true, after: true),
        Row(.reading(5), .nextAtEnd, .reading(5), .nothing, blocked: true, after: true),
        Row(.reading(5), .nextPassed, .reading(5), .nothing, blocked: true, after: true),
        Row(.reading(5), .blocked, .reading(5), blocked: true, after: true),
        Row(.reading(5), .unblocked, .reading(5), blocked: true, after: false),
        Row(.reading(5), .fellBehind, .reading(8), blocked: true, after: true),
        Row(.reading(5), .read, .reading(6), blocked: true, after: true),

        Row(.opening, .replay, .replaying), Row(.reading(5), .replay, .replaying), Row(.live, .replay, .live),
        Row(.ended, .replay, .ended),
        Row(.replaying, .replay, .replaying), Row(.replaying, .begin, .reading(7)), Row(.replaying, .read, .replaying),
        Row(.replaying, .nextBehind, .replaying, .nothing), Row(.replaying, .nextAtEnd, .replaying, .nothing),
        Row(.replaying, .nextPassed, .replaying, .nothing), Row(.replaying, .blocked, .replaying, after: true),
        Row(.replaying, .unblocked, .replaying, blocked: true, after: false), Row(.replaying, .end, .ended),
        Row(.replaying, .begin, .reading(7), blocked: true, after: true),

        Row(.live, .begin, .live), Row(.live, .fellBehind, .reading(8), after: true),
        Row(.live, .blocked, .reading(9), after: true), Row(.live, .nextBehind, .live, .nothing),
        Row(.live, .nextPassed, .live, .nothing), Row(.live, .read, .live), Row(.live, .end, .ended),

        Row(.ended, .begin, .ended), Row(.ended, .fellBehind, .ended), Row(.ended, .nextBehind, .ended, .nothing),
        Row(.ended, .nextAtEnd, .ended, .nothing), Row(.ended, .nextPassed, .ended, .nothing),
        Row(.ended, .read, .ended),
        Row(.ended, .end, .ended), Row(.ended, .unblocked, .ended),
    ]

    @Test("each phase answers each input as the table says", arguments: table)
    func phases(_ row: Row) {
        var state: StreamState
        switch row.phase {
        case .opening: state = StreamStateTests.opening()
        case .reading(let position): state = StreamStateTests.reading(position)
        case .replaying: state = StreamStateTests.replaying()
        case .live: state = StreamStateTests.live()
        case .ended: state = StreamStateTests.ended()
        }
        if row.isBlocked { state.blocked(ringEnd: 5, now: StreamStateTests.start) }
        #expect(state.phase == row.phase)
        let action = StreamStateTests.apply(row.input, to: &state)
        #expect(state.phase == row.expected)
        #expect(action == row.action)
        #expect(state.isBlocked == row.blockedAfter ?? false)
    }

    @Test("only a live stream that is not blocked takes the next batch at once")
    func isLive() {
        #expect(!StreamStateTests.opening().isLive)
        #expect(!StreamStateTests.reading().isLive)
        #expect(StreamStateTests.live().isLive)
        #expect(!StreamStateTests.ended().isLive)
        var blocked = StreamStateTests.live()
        blocked.blocked(ringEnd: 5, now: StreamStateTests.start)
        #expect(!blocked.isLive)
        blocked.unblocked(now: StreamStateTests.start)
        #expect(!blocked.isLive, "it reads on in the ring first")
        #expect(blocked.next(ringStart: 0, ringEnd: 5) == .nothing)
        #expect(blocked.isLive)
    }

    /// An entry as the feed brings it: late if the clock has passed its id.
    private static func entry(_ id: EventID?, clock: EventID = .zero) throws -> Batch.Entry {
        var builder = BatchBuilder()
        builder.raise(clock: clock)
        builder.add(id, to: 1)
        let entries = try builder.take().entries
        return try #require(entries.first)
    }

    @Test("the floor is where the stream began, rises with what is written and never goes back")
    func floor() throws {
        var state = StreamStateTests.opening()
        #expect(state.floor == .zero)
        state.begin(after: EventID(10, 0), at: 0, now: StreamStateTests.start)
        #expect(state.floor == EventID(10, 0))
        #expect(state.start == EventID(10, 0))
        #expect(!state.wants(try StreamStateTests.entry(EventID(10, 0)), at: 5))
        #expect(!state.wants(try StreamStateTests.entry(EventID(9, 9)), at: 5))
        #expect(state.wants(try StreamStateTests.entry(EventID(10, 1)), at: 0))
        state.wrote(upTo: EventID(12, 0), now: StreamStateTests.start)
        state.wrote(upTo: .zero, now: StreamStateTests.start)
        state.wrote(upTo: EventID(11, 0), now: StreamStateTests.start)
        #expect(state.floor == EventID(12, 0))
        #expect(state.start == EventID(10, 0))
        #expect(!state.wants(try StreamStateTests.entry(EventID(11, 5)), at: 5))
    }

    @Test("a late event is for the stream if it came after the stream's start, however far the stream has read")
    func lateEvents() throws {
        var state = StreamStateTests.live()
        state.wrote(upTo: EventID(20, 0), now: StreamStateTests.start)
        let clock = EventID(20, 0)
        #expect(state.wants(try StreamStateTests.entry(EventID(15, 0), clock: clock), at: 9))
        #expect(state.wants(try StreamStateTests.entry(EventID(10, 1), clock: clock), at: 9))
        #expect(!state.wants(try StreamStateTests.entry(EventID(10, 0), clock: clock), at: 9))
        #expect(!state.wants(try StreamStateTests.entry(EventID(9, 0), clock: clock), at: 9))
    }

    @Test("what is live only is for the streams that were there: from the position at which they began")
    func liveOnly() throws {
        let entry = try StreamStateTests.entry(nil)
        let begun = StreamStateTests.reading(5)
        #expect(!begun.wants(entry, at: 4))
        #expect(begun.wants(entry, at: 5))
        var earlier = StreamStateTests.opening()
        earlier.begin(after: .zero, at: 5, liveFrom: 7, now: StreamStateTests.start)
        #expect(!earlier.wants(entry, at: 6))
        #expect(earlier.wants(entry, at: 7))
        var resumed = StreamStateTests.replaying()
        resumed.begin(after: EventID(30, 0), at: 9, now: StreamStateTests.start)
        #expect(!resumed.wants(entry, at: 2))
        #expect(resumed.wants(entry, at: 3), "while it replayed it was there")
    }

    @Test("a replay begins at its cursor, and goes live beyond its mark or what it wrote, whichever is later")
    func replayFloor() {
        var state = StreamStateTests.replaying()
        #expect(state.floor == EventID(10, 0) && state.start == EventID(10, 0) && state.liveFrom == 3)
        state.wrote(upTo: EventID(25, 0), now: StreamStateTests.start)
        var early = state
        early.begin(after: EventID(20, 0), at: 7, now: StreamStateTests.start)
        #expect(early.floor == EventID(25, 0))
        state.begin(after: EventID(30, 0), at: 7, now: StreamStateTests.start)
        #expect(state.floor == EventID(30, 0))
        #expect(state.start == EventID(30, 0), "late events up to there were among what it has read")
    }

    @Test("a stream that the ring has passed replays from where it stood, and keeps its start")
    func refill() {
        var state = StreamStateTests.reading(5)
        state.wrote(upTo: EventID(40, 0), now: StreamStateTests.start)
        state.replay(after: EventID(40, 0), liveFrom: 99, now: StreamStateTests.start)
        #expect(state.phase == .replaying)
        #expect(state.start == EventID(10, 0) && state.floor == EventID(40, 0) && state.liveFrom == 5)
    }

    // MARK: Time

    private static func wake(
        _ state: inout StreamState, at seconds: Int64, clock: EventID = .zero
    ) -> (action: StreamState.WakeAction, next: NIODeadline) {
        state.wake(now: at(seconds), clock: clock, limits: limits)
    }

    @Test("a quiet stream gets a heartbeat after the interval, not before, and each write puts it off")
    func heartbeat() {
        var state = StreamStateTests.live()
        var (action, next) = StreamStateTests.wake(&state, at: 14)
        #expect(action == .sleep)
        #expect(next == StreamStateTests.at(15))
        (action, next) = StreamStateTests.wake(&state, at: 15)
        #expect(action == .heartbeat)
        #expect(next == StreamStateTests.at(30))
        state.wrote(upTo: EventID(11, 0), now: StreamStateTests.at(20))
        (action, next) = StreamStateTests.wake(&state, at: 30)
        #expect(action == .sleep)
        #expect(next == StreamStateTests.at(35))
        (action, _) = StreamStateTests.wake(&state, at: 35)
        #expect(action == .heartbeat)
    }

    @Test(
        "a stream that waits for Redis has its heartbeat, and no checkpoint", arguments: [opening(), replaying()])
    func waitingHeartbeat(_ waiting: StreamState) {
        var state = waiting
        #expect(StreamStateTests.wake(&state, at: 14, clock: EventID(500, 0)) == (.sleep, StreamStateTests.at(15)))
        #expect(StreamStateTests.wake(&state, at: 15, clock: EventID(500, 0)) == (.heartbeat, StreamStateTests.at(30)))
        #expect(StreamStateTests.wake(&state, at: 400, clock: EventID(500, 0)).action == .heartbeat)
        state.blocked(ringEnd: 5, now: StreamStateTests.at(400))
        #expect(StreamStateTests.wake(&state, at: 420).action == .sleep, "not within a frame")
    }

    @Test("a cursor that grew old is renewed if the clock has moved on, and stands for a heartbeat")
    func checkpoint() {
        var state = StreamStateTests.live()
        state.wrote(upTo: EventID(11, 0), now: StreamStateTests.at(0))
        var (action, next) = StreamStateTests.wake(&state, at: 299, clock: EventID(500, 0))
        #expect(action == .heartbeat)
        #expect(next == StreamStateTests.at(300))
        (action, next) = StreamStateTests.wake(&state, at: 300, clock: EventID(500, 0))
        #expect(action == .checkpoint(Cursor(EventID(500, 0))))
        #expect(next == StreamStateTests.at(315))
        #expect(state.floor == EventID(500, 0))
        (action, next) = StreamStateTests.wake(&state, at: 314, clock: EventID(600, 0))
        #expect(action == .sleep)
        #expect(next == StreamStateTests.at(315))
    }

    @Test("live-only events do not renew the cursor, a logged event does", arguments: [true, false])
    func cursorAge(_ isLogged: Bool) {
        var state = StreamStateTests.live()
        state.wrote(upTo: isLogged ? EventID(11, 0) : .zero, now: StreamStateTests.at(290))
        let (action, next) = StreamStateTests.wake(&state, at: 300, clock: EventID(500, 0))
        #expect(action == (isLogged ? .sleep : .checkpoint(Cursor(EventID(500, 0)))))
        #expect(next == StreamStateTests.at(isLogged ? 305 : 315))
    }

    @Test(
        "a clock that has not moved gives no checkpoint, and the stream keeps its heartbeat",
        arguments: [0, 9, 10] as [UInt64])
    func checkpointNotNeeded(_ clock: UInt64) {
        var state = StreamStateTests.live()
        let (action, next) = StreamStateTests.wake(&state, at: 300, clock: EventID(clock, 0))
        #expect(action == .heartbeat)
        #expect(next == StreamStateTests.at(315))
        #expect(state.floor == EventID(10, 0))
    }

    @Test("a stream that still reads gets no checkpoint and no heartbeat between its events")
    func readingIsLeftAlone() {
        var state = StreamStateTests.reading()
        let (action, next) = StreamStateTests.wake(&state, at: 400, clock: EventID(500, 0))
        #expect(action == .sleep)
        #expect(next == StreamStateTests.at(415))
        #expect(state.floor == EventID(10, 0))
    }

    @Test("a blocked stream gets nothing, and is stalled once nothing went out for the limit")
    func stall() {
        var state = StreamStateTests.live()
        state.fellBehind(at: 6, now: StreamStateTests.at(100))
        var (action, next) = StreamStateTests.wake(&state, at: 129, clock: EventID(500, 0))
        #expect(action == .sleep)
        #expect(next == StreamStateTests.at(130))
        state.progressed(now: StreamStateTests.at(129))
        (action, next) = StreamStateTests.wake(&state, at: 158)
        #expect(action == .sleep)
        #expect(next == StreamStateTests.at(159))
        (action, next) = StreamStateTests.wake(&state, at: 159)
        #expect(action == .stalled)
        #expect(next == .distantFuture)
    }

    @Test("being blocked again while blocked does not put the stall off; an unblocked stream starts anew")
    func stallClock() {
        var state = StreamStateTests.live()
        state.blocked(ringEnd: 5, now: StreamStateTests.at(10))
        state.blocked(ringEnd: 5, now: StreamStateTests.at(30))
        #expect(StreamStateTests.wake(&state, at: 40).action == .stalled)
        state.unblocked(now: StreamStateTests.at(39))
        #expect(StreamStateTests.wake(&state, at: 40).action == .sleep)
        state.blocked(ringEnd: 5, now: StreamStateTests.at(60))
        #expect(StreamStateTests.wake(&state, at: 89).action == .sleep)
        #expect(StreamStateTests.wake(&state, at: 90).action == .stalled)
    }

    @Test("a stream expires at its time in whatever state, and no look is planned beyond it")
    func expiry() {
        let expiry = StreamStateTests.at(20)
        var live = StreamStateTests.live(expiry: expiry)
        #expect(StreamStateTests.wake(&live, at: 15) == (.heartbeat, expiry))
        #expect(StreamStateTests.wake(&live, at: 20) == (.expired, .distantFuture))
        var blocked = StreamStateTests.live(expiry: expiry)
        blocked.blocked(ringEnd: 5, now: StreamStateTests.start)
        #expect(StreamStateTests.wake(&blocked, at: 1) == (.sleep, expiry))
        #expect(StreamStateTests.wake(&blocked, at: 20) == (.expired, .distantFuture))
        var reading = StreamStateTests.opening(expiry: expiry)
        reading.begin(after: .zero, at: 0, now: StreamStateTests.start)
        #expect(StreamStateTests.wake(&reading, at: 10) == (.sleep, expiry))
    }

    @Test("an ended stream is never looked at again")
    func endedSleeps() {
        var state = StreamStateTests.ended()
        #expect(StreamStateTests.wake(&state, at: 1000, clock: .max) == (.sleep, .distantFuture))
    }
}
