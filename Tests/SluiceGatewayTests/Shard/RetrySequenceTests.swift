// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceGateway
import Testing

@Suite("When streams come back") struct RetrySequenceTests {
    private static let policy = RetryPolicy(base: .seconds(2), spread: .seconds(2))

    @Test(
        "Of any thousand in a row each tenth of the spread has its hundred, wherever the sequence begins",
        arguments: [0, 1, .max, 0x0123_4567_89AB_CDEF] as [UInt64])
    func even(start: UInt64) {
        var sequence = RetrySequence(Self.policy, start: start)
        for _ in 0..<20 {
            var counts = [Int](repeating: 0, count: 10)
            for _ in 0..<1000 {
                let time = sequence.next()
                #expect((2000...4000).contains(time))
                counts[min(Int(time - 2000) / 200, 9)] += 1
            }
            // By lot it would be 100 ± 10.
            #expect(counts.allSatisfy { (97...103).contains($0) }, "\(counts)")
        }
    }

    @Test("Both ends of the spread are in it, and without one all have the same time")
    func bounds() {
        #expect(Self.policy.time(at: .min) == 2000 && Self.policy.time(at: .max) == 4000)
        var sequence = RetrySequence(RetryPolicy(base: .seconds(1), spread: .zero))
        #expect((0..<100).allSatisfy { _ in sequence.next() == 1000 })
    }

    @Test("Streams of a node that drains come back evenly: no second has a tenth more than its share")
    func drain() {
        let loops = 2
        var drains = (0..<loops).map { _ in
            Drain(start: .uptimeNanoseconds(0), time: .seconds(20), streams: Array(0..<2500))
        }
        var sequences = (0..<loops).map { _ in RetrySequence(Self.policy) }
        var seconds = [Int](repeating: 0, count: 26)
        for tick in 0...200 {
            let now = NIODeadline.uptimeNanoseconds(UInt64(tick) * 100_000_000)
            for loop in 0..<loops {
                for _ in drains[loop].due(now: now) { seconds[(tick * 100 + Int(sequences[loop].next())) / 1000] += 1 }
            }
        }
        #expect(seconds.reduce(0, +) == 5000)
        #expect(seconds[4..<21].allSatisfy { (225...275).contains($0) }, "\(seconds)")
        #expect(seconds.allSatisfy { $0 <= 275 }, "\(seconds)")
    }
}
