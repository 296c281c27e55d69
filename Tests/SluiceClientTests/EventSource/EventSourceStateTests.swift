// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import Testing

@testable import SluiceClient

@Suite struct EventSourceStateTests {
    @Test func onlyAnEventStreamIsRead() {
        let state = EventSourceState(lastEventID: "")
        #expect(state.response(.ok, contentType: "text/event-stream") == .read)
        #expect(state.response(.ok, contentType: "Text/Event-Stream ; charset=utf-8") == .read)
        #expect(state.response(.ok, contentType: "text/html") == .fail)
        #expect(state.response(.ok, contentType: nil) == .fail)
        #expect(state.response(.noContent, contentType: nil) == .stop)
        #expect(state.response(.badRequest, contentType: "text/event-stream") == .fail)
        #expect(state.response(.serviceUnavailable, contentType: nil) == .fail)
    }

    @Test func waitsAsLongAsTheStreamSaid() {
        var state = EventSourceState(lastEventID: "")
        #expect(state.disconnected(isFailure: false).wait == .seconds(3))
        state.received(retryMilliseconds: 2741)
        #expect(state.disconnected(isFailure: false).wait == .milliseconds(2741))
        state.received(retryMilliseconds: 0)
        #expect(state.disconnected(isFailure: false).wait == .milliseconds(100), "not a busy loop")
        state.received(retryMilliseconds: .max)
        #expect(state.disconnected(isFailure: false).wait == .hours(24))
    }

    @Test func oneLineForEachOutage() {
        var state = EventSourceState(lastEventID: "")
        let news = [
            state.opened(), state.disconnected(isFailure: false).isNews, state.disconnected(isFailure: true).isNews,
            state.disconnected(isFailure: true).isNews, state.opened(), state.opened(),
            state.disconnected(isFailure: true).isNews,
        ]
        #expect(news == [false, false, true, false, true, false, true])
    }

    @Test func aConnectionOverWhichNothingComesIsGivenUp() {
        func time(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(seconds) }
        var state = EventSourceState(lastEventID: "", silence: .seconds(60))
        state.heard(now: time(10))
        #expect(state.silentAt == time(70))
        state.heard(now: time(40))
        #expect(state.silentAt == time(100), "a comment is enough")
        var patient = EventSourceState(lastEventID: "", silence: .zero)
        patient.heard(now: time(10))
        #expect(patient.silentAt == nil)
    }
}
