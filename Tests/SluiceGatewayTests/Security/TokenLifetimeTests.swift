// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("ends a stream with its token")
    struct TokenLifetimeTests {
        private func token(seconds: Double) async throws -> String {
            try await Token(exp: Date() + seconds, sluice: .init(subscribe: ["news"])).signed()
        }

        @Test(
            "At the token's end the stream ends cleanly, with a time to come back, and then the token opens nothing",
            .timeLimit(.minutes(1)))
        func tokenEnds() async throws {
            let guarded = try await GuardedNode(["--jwt-leeway", "0s"])
            let start = ContinuousClock.now
            let token = try await token(seconds: 3)
            let stream = try await guarded.stream("/events?topic=news", token)
            let lasting = try await guarded.stream("/events?topic=news", try await Visitor.subscriber.token())
            #expect(await stream.waits(within: 10) { $0.isOver })
            let lived = ContinuousClock.now - start
            // Up to a tenth earlier, so that many do not end at once; and the timer looks ten times a second.
            #expect(lived > .seconds(2.5) && lived < .seconds(3.3))
            #expect(stream.now.cleanEnds == 1 && stream.now.retries.count == 2 && stream.now.failure == nil)
            try await Task.sleep(until: start + .seconds(3.05))
            let late = try await Knock(
                guarded.port, "/events?topic=news", headers: [("Authorization", "Bearer \(token)")])
            #expect(late.fate == .answered(401))
            #expect(lasting.now.isOpen)
        }

        @Test("A lifetime that is shorter than the token's decides", .timeLimit(.minutes(1)))
        func lifetimeEnds() async throws {
            let guarded = try await GuardedNode(["--lifetime", "1s"])
            let start = ContinuousClock.now
            let stream = try await guarded.stream("/events?topic=news", try await token(seconds: 60))
            #expect(await stream.waits(within: 10) { $0.isOver })
            #expect(ContinuousClock.now - start < .seconds(2))
            #expect(stream.now.cleanEnds == 1 && stream.now.retries.count == 2)
        }

        @Test("Within the leeway an old token is taken, but its stream is over at once", .timeLimit(.minutes(1)))
        func leeway() async throws {
            let guarded = try await GuardedNode(["--jwt-leeway", "1m"])
            let stream = try await guarded.stream("/events?topic=news", try await token(seconds: -5))
            #expect(await stream.waits(within: 3) { $0.isOver })
            #expect(stream.now.cleanEnds == 1)
        }
    }
}
