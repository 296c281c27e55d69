// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Testing

@testable import SluiceBench

@Suite struct BenchPacerTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    private func at(_ milliseconds: Int64) -> NIODeadline { start + .milliseconds(milliseconds) }

    @Test func sendsAtTheRate() {
        var pacer = Pacer(total: 3, rate: 10, inFlightMax: 10)
        #expect(pacer.take(now: at(0)) == 0)
        #expect(pacer.take(now: at(99)) == nil)
        #expect(pacer.wake == at(100))
        #expect(pacer.take(now: at(105)) == 1)
        #expect(pacer.lateness == .milliseconds(5))
        #expect(pacer.take(now: at(200)) == 2)
        #expect(pacer.take(now: at(900)) == nil)
        #expect(pacer.wake == nil && !pacer.isFinished)
        for _ in 0..<3 { pacer.acknowledged() }
        #expect(pacer.isFinished)
    }

    @Test func catchesUpAfterAPause() {
        var pacer = Pacer(total: 100, rate: 1000, inFlightMax: 100)
        #expect(pacer.take(now: at(0)) == 0)
        var count = 0
        while pacer.take(now: at(10)) != nil { count += 1 }
        #expect(count == 10)
    }

    @Test func isBoundedByWhatIsUnderWay() {
        var pacer = Pacer(total: 5, rate: 0, inFlightMax: 2)
        let taken = [pacer.take(now: start), pacer.take(now: start), pacer.take(now: start)]
        #expect(taken == [0, 1, nil])
        #expect(pacer.wake == nil, "an acknowledgement wakes it")
        pacer.acknowledged()
        #expect(pacer.take(now: start) == 2)
    }

    @Test func stopsWithWhatWasSent() {
        var pacer = Pacer(total: 5, rate: 0, inFlightMax: 5)
        _ = pacer.take(now: start)
        pacer.stop()
        #expect(pacer.take(now: start) == nil)
        #expect(!pacer.isFinished)
        pacer.acknowledged()
        #expect(pacer.isFinished)
    }
}
