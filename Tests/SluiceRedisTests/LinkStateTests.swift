// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceRedis
import TestSupport
import Testing

@Suite("LinkState")
struct LinkStateTests {
    enum Input: CaseIterable, Sendable {
        case start, woken, reconnect, connected, prepared, failed, stop
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
            case .reconnect: "\(state.reconnect())"
            case .connected: "\(state.connected())"
            case .prepared: "\(state.prepared())"
            case .failed: failed()
            case .stop: stop()
            }
        }

        private mutating func stop() -> String {
            state.stop()
            return "-"
        }

        /// Afterwards it is the time up to which it has to wait.
        private mutating func failed() -> String {
            guard case .wait(let until, let isOutage) = state.failed(now: now, using: &generator) else {
                return "ignore"
            }
            now = until
            return isOutage ? "outage" : "wait"
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
            [.connected: "prepare → preparing", .failed: "outage → waiting", .stop: "- → stopped"]
        ),
        (
            "preparing", Run(.start, .connected),
            [
                .connected: "close → preparing", .prepared: "use(isReturn: false) → up", .failed: "outage → waiting",
                .stop: "- → stopped",
            ]
        ),
        (
            "up", Run(.start, .connected, .prepared),
            [
                .connected: "close → up", .reconnect: "connect → connecting", .failed: "outage → waiting",
                .stop: "- → stopped",
            ]
        ),
        (
            "waiting", Run(.start, .failed),
            [.connected: "close → waiting", .woken: "connect → connecting", .stop: "- → stopped"]
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

    @Test("an outage is worth one line, however many attempts fail, and so is its end")
    func complainsOnce() {
        var run = Run(.start, .connected, .prepared)
        for _ in 0..<2 {
            #expect(run.take(.failed) == "outage")
            for _ in 0..<3 {
                #expect(run.take(.woken) == "connect" && run.take(.failed) == "wait")
                #expect(run.take(.woken) == "connect" && run.take(.connected) == "prepare")
                #expect(run.take(.failed) == "wait")
            }
            #expect(run.take(.woken) == "connect" && run.take(.connected) == "prepare")
            #expect(run.take(.prepared) == "use(isReturn: true)")
        }
    }

    @Test("a server that is left because it is of no use is no outage")
    func reconnect() {
        var run = Run(.start, .connected, .prepared)
        #expect(run.take(.reconnect) == "connect" && run.take(.connected) == "prepare")
        #expect(run.take(.prepared) == "use(isReturn: false)")
    }
}
