// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import TestSupport
import Testing

@Suite("TimerWheel")
struct TimerWheelTests {
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    private static func at(_ milliseconds: Int64) -> NIODeadline {
        start + .milliseconds(milliseconds)
    }

    private static func due(_ wheel: inout TimerWheel<Int>, at milliseconds: Int64) -> [Int] {
        Array(wheel.due(at: at(milliseconds)))
    }

    @Test(
        "an element comes at the first tick that is not before its deadline",
        arguments: [(0, 10), (1, 10), (9, 10), (10, 10), (11, 20), (20, 20), (65, 70), (-50, 10)] as [(Int64, Int64)])
    func rounding(_ deadline: Int64, _ tick: Int64) {
        var wheel = TimerWheel<Int>(slots: 8, tick: .milliseconds(10), now: TimerWheelTests.start)
        wheel.insert(1, at: TimerWheelTests.at(deadline))
        #expect(TimerWheelTests.due(&wheel, at: tick - 1).isEmpty)
        #expect(TimerWheelTests.due(&wheel, at: tick) == [1])
        #expect(TimerWheelTests.due(&wheel, at: tick + 1000).isEmpty)
    }

    @Test("what is due beyond one turn comes back at the end of the turn, to be put in again")
    func beyondOneTurn() {
        var wheel = TimerWheel<Int>(slots: 8, tick: .milliseconds(10), now: TimerWheelTests.start)
        wheel.insert(1, at: TimerWheelTests.at(1000))
        wheel.insert(2, at: .distantFuture)
        #expect(TimerWheelTests.due(&wheel, at: 69).isEmpty)
        #expect(TimerWheelTests.due(&wheel, at: 70) == [1, 2])
    }

    @Test("what is let go of does not come, and the rest does")
    func removeAll() {
        var wheel = TimerWheel<Int>(slots: 8, tick: .milliseconds(10), now: TimerWheelTests.start)
        for number in 0..<60 { wheel.insert(number, at: TimerWheelTests.at(Int64(number))) }
        wheel.removeAll { !$0.isMultiple(of: 7) }
        #expect(TimerWheelTests.due(&wheel, at: 70) == [0, 7, 14, 21, 28, 35, 42, 49, 56])
    }

    @Test("a late look hands out everything that is due, the earlier tick first")
    func lateLook() {
        var wheel = TimerWheel<Int>(slots: 8, tick: .milliseconds(10), now: TimerWheelTests.start)
        for (element, deadline) in [(3, 30), (1, 10), (2, 20), (4, 40)] as [(Int, Int64)] {
            wheel.insert(element, at: TimerWheelTests.at(deadline))
        }
        #expect(TimerWheelTests.due(&wheel, at: 35) == [1, 2, 3])
        #expect(TimerWheelTests.due(&wheel, at: 40) == [4])
    }

    @Test("an element that is put in again comes at its new time, turn after turn")
    func reinsertion() {
        var wheel = TimerWheel<Int>(slots: 4, tick: .milliseconds(10), now: TimerWheelTests.start)
        for turn in 1...10 {
            wheel.insert(turn, at: TimerWheelTests.at(Int64(turn) * 10))
            #expect(TimerWheelTests.due(&wheel, at: Int64(turn) * 10) == [turn])
        }
    }

    @Test("no element is lost, early or late, whatever the order", arguments: 0..<6 as Range<UInt64>)
    func property(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var wheel = TimerWheel<Int64>(slots: 16, tick: .milliseconds(10), now: TimerWheelTests.start)
        var waiting: [Int64] = []
        var now: Int64 = 0
        for step in 0..<400 {
            // The deadline is the element; a unique one, so that a doubled element shows.
            let deadline = now + Int64.random(in: 0...140, using: &generator) * 1000 / 1000
            if !waiting.contains(deadline), step < 380 {
                waiting.append(deadline)
                wheel.insert(deadline, at: TimerWheelTests.at(deadline))
            }
            now += Int64.random(in: 0...25, using: &generator)
            let look = now
            let handed = wheel.due(at: TimerWheelTests.at(look))
            for element in handed {
                #expect(element <= look, "handed out early")
                #expect(waiting.contains(element), "handed out twice")
            }
            waiting.removeAll { handed.contains($0) }
            #expect(waiting.allSatisfy { $0 > look - 20 }, "handed out late")
        }
        let end = now + 1000
        for element in wheel.due(at: TimerWheelTests.at(end)) { waiting.removeAll { $0 == element } }
        #expect(waiting.isEmpty)
    }
}
