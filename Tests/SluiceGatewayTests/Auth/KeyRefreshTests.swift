// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceGateway
import TestSupport
import Testing

@Suite("KeyRefresh")
struct KeyRefreshTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    @Test("The first is due at once, the next after ten minutes")
    func interval() {
        var generator = SeededGenerator(seed: 1)
        var refresh = KeyRefresh(now: start)
        #expect(refresh.due == start)
        refresh.began(now: start)
        refresh.ended(successfully: true, now: start + .seconds(1), using: &generator)
        #expect(refresh.due == start + .seconds(601))
    }

    @Test("After failures the waits grow from a second to a minute, and are short again after a success")
    func failures() {
        var generator = SeededGenerator(seed: 1)
        var refresh = KeyRefresh(now: start)
        for step in [1, 2, 4, 8, 16, 32, 60, 60, 60] as [Int64] {
            refresh.ended(successfully: false, now: start, using: &generator)
            #expect(refresh.due >= start + .milliseconds(step * 500) && refresh.due <= start + .seconds(step))
        }
        refresh.ended(successfully: true, now: start, using: &generator)
        refresh.ended(successfully: false, now: start, using: &generator)
        #expect(refresh.due <= start + .seconds(1))
    }

    @Test("An unknown key makes a fetch at most every ten seconds, also while fetches fail")
    func unknownKeys() {
        var generator = SeededGenerator(seed: 1)
        var refresh = KeyRefresh(now: start)
        #expect(refresh.mayFetchForUnknownKey(now: start))
        refresh.began(now: start)
        refresh.ended(successfully: false, now: start + .seconds(3), using: &generator)
        #expect(!refresh.mayFetchForUnknownKey(now: start + .milliseconds(9999)))
        #expect(refresh.mayFetchForUnknownKey(now: start + .seconds(10)))
    }
}
