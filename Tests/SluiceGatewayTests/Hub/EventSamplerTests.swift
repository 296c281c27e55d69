// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import SluiceGateway
import TestSupport
import Testing

@Suite("Which events are in the log")
struct EventSamplerTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private let traced = Envelope(trace: TraceParent(TraceParents.sampled))

    @Test("One in so many, and each that its publisher's trace keeps")
    func takes() {
        var sampler = EventSampler(interval: 3, now: start)
        let unkept = Envelope(trace: TraceParent(TraceParents.good[1].text))
        let events = [Envelope(), unkept, unkept, traced, Envelope(), Envelope(), traced]
        #expect(sampler.isOn)
        #expect(events.map { sampler.takes($0, now: start) } == [false, false, true, true, false, true, true])
        #expect(!EventSampler(interval: 0, now: start).isOn)
    }

    @Test("No more than a hundred in a second, however many are traced")
    func bound() {
        var sampler = EventSampler(interval: 1_000_000, now: start)
        var taken = 0
        for millisecond in 0..<2000 {
            for _ in 0..<5 where sampler.takes(traced, now: start + .milliseconds(Int64(millisecond))) { taken += 1 }
        }
        // A second's worth at once, and two seconds' after it.
        #expect((EventSampler.perSecondMax * 2...EventSampler.perSecondMax * 3).contains(taken), "\(taken)")
    }
}
