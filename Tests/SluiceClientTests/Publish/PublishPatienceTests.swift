// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Testing

@testable import SluiceClient

@Suite struct PublishPatienceTests {
    private func time(_ milliseconds: Int64) -> NIODeadline {
        .uptimeNanoseconds(1_000_000_000) + .milliseconds(milliseconds)
    }

    @Test func waitsAsLongAsItIsTold() {
        var patience = PublishPatience(limit: .minutes(2))
        #expect(patience.failed(told: .seconds(7), now: time(0)) == .seconds(7))
        #expect(patience.failed(told: .seconds(1), now: time(7000)) == .seconds(1))
    }

    @Test func waitsLongerEachTimeIfNobodySays() {
        var patience = PublishPatience(limit: .minutes(2))
        let waits = (0..<7).map { _ in patience.failed(told: nil, now: time(0)) }
        #expect(waits == [100, 200, 400, 800, 1600, 2000, 2000].map { .milliseconds($0) })
        patience.progressed()
        #expect(patience.failed(told: nil, now: time(0)) == .milliseconds(100))
    }

    @Test func givesUpAfterTheLimitWithoutProgress() {
        var patience = PublishPatience(limit: .seconds(10))
        #expect(patience.failed(told: .seconds(5), now: time(0)) == .seconds(5))
        #expect(patience.failed(told: .seconds(5), now: time(5000)) == .seconds(5))
        #expect(patience.failed(told: .seconds(1), now: time(10_000)) == nil)
        patience.progressed()
        #expect(patience.failed(told: .seconds(5), now: time(11_000)) == .seconds(5))
        var none = PublishPatience(limit: .zero)
        #expect(none.failed(told: .zero, now: time(0)) == nil)
    }
}
