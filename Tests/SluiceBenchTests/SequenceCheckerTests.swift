// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import SluiceBench

@Suite struct SequenceCheckerTests {
    @Test func allInOrder() {
        var checker = SequenceChecker()
        for sequence in 0..<1000 { #expect(checker.check(UInt32(sequence)) == .inOrder) }
        #expect(checker.received == 1000)
    }

    @Test func holesShowInTheCount() {
        var checker = SequenceChecker()
        for sequence in [1, 2, 5, 100, 300] { #expect(checker.check(UInt32(sequence)) == .inOrder) }
        #expect(checker.received == 5)
        #expect(checker.next == 301)
    }

    @Test func duplicatesAreToldFromLateOnes() {
        var checker = SequenceChecker()
        let verdicts = [0, 2, 2, 1, 1, 3, 0].map { checker.check(UInt32($0)) }
        #expect(verdicts == [.inOrder, .inOrder, .duplicate, .outOfOrder, .duplicate, .inOrder, .duplicate])
        #expect(checker.received == 4)
    }

    @Test func theWindowHas64Places() {
        var checker = SequenceChecker()
        _ = checker.check(64)
        #expect(checker.check(1) == .outOfOrder)
        #expect(checker.check(1) == .duplicate)
        #expect(checker.received == 2)
        #expect(checker.check(0) == .outOfOrder)
        #expect(checker.received == 2, "too far back to know: it stays lost")
    }

    /// Against a set, which knows everything.
    @Test func randomOrderAgainstASet() {
        for _ in 0..<200 {
            var checker = SequenceChecker()
            var seen: Set<UInt32> = []
            var next: UInt32 = 0
            for _ in 0..<200 {
                let sequence = UInt32.random(in: (next < 60 ? 0 : next - 60)...next + 3)
                let expected: SequenceChecker.Verdict =
                    seen.contains(sequence) ? .duplicate : sequence >= next ? .inOrder : .outOfOrder
                #expect(checker.check(sequence) == expected)
                seen.insert(sequence)
                next = max(next, sequence + 1)
                #expect(checker.received == seen.count)
            }
        }
    }
}
