// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceGateway
import Testing

@Suite("A drain") struct StreamDrainTests {
    private static func at(_ milliseconds: UInt64) -> NIODeadline { .uptimeNanoseconds(milliseconds * 1_000_000) }

    @Test("ends each stream once, as many in each tenth of a second as in the next", arguments: [1, 7, 1000, 5000])
    func even(total: Int) {
        var drain = Drain(start: Self.at(0), time: .seconds(10), streams: Array(0..<total))
        var ended: [Int] = []
        for tick in UInt64(1)...100 {
            let due = drain.due(now: Self.at(tick * 100))
            #expect(abs(due.count - total / 100) <= 1)
            ended += due
        }
        #expect(Set(ended).count == total && ended.count == total)
    }

    @Test("that was held up ends what is due by then, and one without time all at once")
    func late() {
        var drain = Drain(start: Self.at(0), time: .seconds(10), streams: Array(0..<1000))
        #expect(drain.due(now: Self.at(5000)).count == 500)
        #expect(drain.due(now: Self.at(60_000)).count == 500)
        var sudden = Drain(start: Self.at(0), time: .zero, streams: Array(0..<1000))
        #expect(sudden.due(now: Self.at(0)).count == 1000)
    }
}
