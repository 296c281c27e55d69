// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceRedis
import TestSupport
import Testing

@Suite("Backoff")
struct BackoffTests {
    private static let steps: [Int64] = [50, 100, 200, 400, 800, 1600, 3000, 3000, 3000]

    @Test(
        "each wait is a random part between half and the whole of a step that doubles up to three seconds",
        arguments: 0..<20 as Range<UInt64>)
    func doubles(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var backoff = Backoff()
        for step in BackoffTests.steps {
            let wait = backoff.next(using: &generator)
            #expect(wait >= .microseconds(step * 500) && wait <= .milliseconds(step))
        }
    }

    @Test("after a success the waits are short again")
    func reset() {
        var generator = SeededGenerator(seed: 1)
        var backoff = Backoff()
        for _ in 0..<10 { _ = backoff.next(using: &generator) }
        #expect(backoff.next(using: &generator) >= .milliseconds(1500))
        backoff.reset()
        #expect(backoff.next(using: &generator) <= .milliseconds(50))
    }

    @Test("nodes that lost Redis together do not come back in step")
    func jitter() {
        let waits = (0..<100 as Range<UInt64>).map { seed in
            var generator = SeededGenerator(seed: seed)
            var backoff = Backoff()
            return backoff.next(using: &generator).nanoseconds
        }
        #expect(Set(waits).count > 90)
    }
}
