// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceRedis
import TestSupport
import Testing

@Suite("LinkState")
struct LinkStateTests {
    enum Input: CaseIterable, Sendable {
        case start, woken, lookAgain, moved, connected, prepared, failed, stop
    }

    /// A link's state, with time and chance as a test gives them.
    private struct Run {
        var state = LinkState()
        var now = NIODeadline.uptimeNanoseconds(0)
        var generator = SeededGenerator(seed: 1)

        /// A link that an input brings from one phase to the next.
        init(_ inputs: Input...) {
            for input in inputs { _ = take(input) }
        }

        mutating func take(_ input: Input) -> String {
            switch input {
            case .start: "\(state.start())"
            case .woken: "\(state.woken(now: now))"
            case .lookAgain: waited(state.lookAgain(now: now, using: &generator))
            case .moved: waited(state.moved(now: now, using: &generator))
            case .connected: "\(state.connected())"
            case .prepared: "\(state.prepared(now: now))"
            case .failed: waited(state.failed(now: now, using: &generator))
            case .stop: stop()
            }
        }

        private mutating func stop() -> String {
            state.stop()
            return "-"
        }

        /// Afterwards it is the time up to which it has to wait.
        private mutating func waited(_ action: LinkState.FailedAction) -> String {
            guard case .wait(let until, let isNews) = action else { return "ignore" }
            now = until
            return isNews ? "news" : "wait"
        }

        var phase: String {
            if case .waiting = state.phase { "waiting" } else { "\(state.phase)" }
        }
    }

    /// What each input does in each phase: "action → phase". What is missing changes nothing.
    private static let table: [(name: String, run: Run, effects: [Input: String])] = [
        ("idle", Run(), [.start: "connect → connecting", .connected: "close → idle", .stop: "- → stopped"]),
        (
            "connecting", Run(.start),
            [
                .connected: "prepare → preparing", .failed: "news → waiting", .moved: "wait → waiting",
                .stop: "- → stopped",
            ]
        ),
        (
            "preparing", Run(.start, .connected),
            [
                .connected: "close → preparing", .prepared: "use(isReturn: false) → up", .failed: "news → waiting",
                .lookAgain: "wait → waiting", .moved: "wait → waiting", .stop: "- → stopped",
            ]
        ),
        (
            "up", Run(.start, .connected, .prepared),
            [
                .connected: "close → up", .lookAgain: "wait → waiting", .moved: "wait → waiting",
                .failed: "news → waiting", .stop: "- → stopped",
            ]
        ),
        (
            "waiting", Run(.start, .failed),
            [
                .connected: "close → waiting", .woken: "connect → connecting", .moved: "wait → waiting",
                .stop: "- → stopped",
            ]
        ),
        ("stopped", Run(.start, .stop), [.connected: "close → stopped", .stop: "- → stopped"]),
    ]

    @Test("each input in each phase has one effect, and one that does not belong there changes nothing")
    func transitions() {
        for (name, run, effects) in LinkStateTests.table {
            #expect(run.phase == name)
            for input in Input.allCases {
                var run = run
                let effect = "\(run.take(input)) → \(run.phase)"
                #expect(effect == effects[input] ?? "ignore → \(name)", "\(input) while \(name)")
            }
        }
    }

    @Test("a connection that can't be made or prepared, and one that is lost, is followed by another attempt")
    func anotherAttempt() {
        for inputs: [Input] in [[], [.connected], [.connected, .prepared]] {
            var run = Run(.start)
            for input in inputs + [.failed] { _ = run.take(input) }
            run.now = run.now - .nanoseconds(1)
            #expect(run.take(.woken) == "ignore", "not before the wait is over")
            run.now = run.now + .nanoseconds(1)
            #expect(run.take(.woken) == "connect")
        }
    }

    @Test("the waits of an outage grow, also where connections can be made and not prepared; then they are short again")
    func waits() {
        var run = Run(.start)
        func wait() -> TimeAmount {
            let failed = run.now
            _ = run.take(.failed)
            return run.now - failed
        }
        #expect(wait() <= .milliseconds(50))
        for attempt in 0..<8 {
            _ = run.take(.woken)
            if attempt.isMultiple(of: 2) { _ = run.take(.connected) }
            let longest = wait()
            if attempt == 7 { #expect(longest >= .milliseconds(1500) && longest <= .seconds(3)) }
        }
        for input: Input in [.woken, .connected, .prepared] { _ = run.take(input) }
        #expect(wait() <= .milliseconds(50))
    }

    @Test("a server that is up and of no use is tried less and less often, until one has been of use for a while")
    func useless() {
        var run = Run(.start)
        func wait(after use: TimeAmount) -> TimeAmount {
            for input: Input in [.woken, .connected, .prepared] { _ = run.take(input) }
            run.now = run.now + use
            let left = run.now
            _ = run.take(.lookAgain)
            return run.now - left
        }
        for _ in 0..<8 { _ = wait(after: .milliseconds(2999)) }
        #expect(wait(after: .zero) >= .milliseconds(1500))
        #expect(wait(after: .seconds(3)) <= .milliseconds(50))
    }

    @Test("an outage ends quickly where another server is known to have taken over")
    func moved() {
        var run = Run(.start)
        for _ in 0..<8 where run.take(.failed) != "ignore" { _ = run.take(.woken) }
        let before = run.now
        #expect(run.take(.moved) == "wait" && run.now - before <= .milliseconds(50))
        #expect(run.take(.woken) == "connect")
    }

    @Test("an outage is worth a line, however many attempts fail, another each minute, and one at its end")
    func complainsOnce() {
        var run = Run(.start, .connected, .prepared)
        for _ in 0..<2 {
            #expect(run.take(.failed) == "news")
            for _ in 0..<3 {
                #expect(run.take(.woken) == "connect" && run.take(.failed) == "wait")
                #expect(run.take(.woken) == "connect" && run.take(.connected) == "prepare")
                #expect(run.take(.failed) == "wait")
            }
            run.now = run.now + .minutes(1)
            #expect(run.take(.woken) == "connect" && run.take(.failed) == "news")
            #expect(run.take(.woken) == "connect" && run.take(.failed) == "wait")
            #expect(run.take(.woken) == "connect" && run.take(.connected) == "prepare")
            #expect(run.take(.prepared) == "use(isReturn: true)")
        }
    }

    @Test("a server that is left because it is of no use is no outage")
    func reconnect() {
        for input: Input in [.lookAgain, .moved] {
            var run = Run(.start, .connected, .prepared)
            #expect(run.take(input) == "wait" && run.take(.woken) == "connect" && run.take(.connected) == "prepare")
            #expect(run.take(.prepared) == "use(isReturn: false)")
        }
    }
}
