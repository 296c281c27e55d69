// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceGateway
import Testing

@Suite("The limit of the log's lines")
struct LogLimitTests {
    private func time(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(1) + .seconds(seconds) }

    @Test("takes some lines of a kind in a minute, says at the last one that it stops, and later how many it left out")
    func oneKind() {
        var limit = LogLimit(linesMax: 3)
        #expect(limit.admit("a", now: time(0)) == LogLimit.Admission())
        #expect(limit.admit("a", now: time(1)) == LogLimit.Admission())
        #expect(limit.admit("a", now: time(2)) == LogLimit.Admission(isLast: true))
        for second in 3..<60 { #expect(limit.admit("a", now: time(Int64(second))) == nil) }
        #expect(limit.admit("a", now: time(60)) == LogLimit.Admission(leftOut: 57))
        #expect(limit.admit("a", now: time(61)) == LogLimit.Admission())
        #expect(limit.admit("a", now: time(300)) == LogLimit.Admission(), "nothing was left out in between")
    }

    @Test("keeps kinds apart")
    func kinds() {
        var limit = LogLimit(linesMax: 1)
        for _ in 0..<100 { _ = limit.admit("flood", now: time(0)) }
        #expect(limit.admit("something else", now: time(0)) != nil)
    }

    @Test("has a bounded memory: of ten thousand kinds in a minute most share one")
    func bounded() {
        var limit = LogLimit(linesMax: 2)
        let admitted = (0..<10_000).count { limit.admit("kind \($0)", now: time(0)) != nil }
        #expect(admitted == 256 + 2)
        let later = (0..<100).count { limit.admit("later \($0)", now: time(61)) != nil }
        #expect(later == 100, "what has passed makes room")
    }
}
