// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Sends the messages at their times, or as fast as they are taken. Confined to its event loop.
final class BenchPump {
    struct Outcome: Sendable {
        /// When the first was sent, in nanoseconds of the monotonic clock.
        var start: UInt64 = 0
        var sent = 0
        /// How much later than planned a message was sent, at worst: the load generator's own delay.
        var latest: UInt64 = 0
    }

    private let plan: BenchPlan
    private let publisher: any BenchPublisher
    private let eventLoop: any EventLoop
    private let done: EventLoopPromise<Void>
    private var inFlight = 0
    private var timer: Scheduled<Void>?
    private var failed = false
    private(set) var outcome = Outcome()

    init(plan: BenchPlan, publisher: any BenchPublisher, eventLoop: any EventLoop) {
        self.plan = plan
        self.publisher = publisher
        self.eventLoop = eventLoop
        done = eventLoop.makePromise()
    }

    /// The future is fulfilled once all messages were taken; it fails with the first that was not.
    func run() -> EventLoopFuture<Void> {
        outcome.start = NIODeadline.now().uptimeNanoseconds
        pump()
        return done.futureResult
    }

    func close() {
        publisher.close()
    }

    private func pump() {
        while !failed, outcome.sent < plan.messages, inFlight < plan.inFlightMax {
            if plan.rate > 0 {
                let due = outcome.start + UInt64(Double(outcome.sent) * 1e9 / plan.rate)
                let now = NIODeadline.now().uptimeNanoseconds
                guard now >= due else { return wake(at: due) }
                outcome.latest = max(outcome.latest, now - due)
            }
            send()
        }
    }

    private func wake(at due: UInt64) {
        guard timer == nil else { return }
        timer = eventLoop.assumeIsolated().scheduleTask(deadline: .uptimeNanoseconds(due)) { [self] in
            timer = nil
            pump()
        }
    }

    private func send() {
        outcome.sent += 1
        inFlight += 1
        let payload = plan.payload(sequence: UInt32(outcome.sent))
        publisher.send(payload).assumeIsolated().whenComplete { [self] result in
            inFlight -= 1
            switch result {
            case .success:
                if outcome.sent == plan.messages, inFlight == 0 { done.succeed(()) }
                pump()
            case .failure(let error):
                guard !failed else { return }
                failed = true
                done.fail(error)
            }
        }
    }
}

@available(*, unavailable)
extension BenchPump: Sendable {}
