// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceWeb

/// Publishes numbered messages at the plan's pace, on an event loop of its own, so that reading can't hold it up.
///
/// Confined to its event loop.
final class PacedPublisher {
    struct Reading: Sendable {
        var sent = 0
        var accepted = 0
        var failed = 0
        var firstFailure: String?
        /// Accepted, and nobody heard it, says Redis.
        var unheard = 0
        var lateness = TimeAmount.zero
        /// How many were accepted for each topic.
        var published: [Int]
        var isFinished = false
    }

    private let plan: Plan
    private let marker: Marker
    private let publish: Destination.Publish
    private let eventLoop: any EventLoop
    private var pacer: Pacer
    private(set) var reading: Reading
    /// The wake-up that is set.
    private var wake: NIODeadline?
    private var isRunning = false

    init(_ plan: Plan, marker: Marker, publish: @escaping Destination.Publish, on eventLoop: any EventLoop) {
        self.plan = plan
        self.marker = marker
        self.publish = publish
        self.eventLoop = eventLoop
        pacer = Pacer(total: plan.messages, rate: plan.rate, inFlightMax: plan.inFlight)
        reading = Reading(published: [Int](repeating: 0, count: plan.topics))
    }

    /// Sends what is due, and sets the next wake-up.
    func run() {
        // A publish that fails at once calls back while the loop below is at work.
        guard !isRunning else { return }
        isRunning = true
        while true {
            let now = NIODeadline.now()
            guard let number = pacer.take(now: now) else { break }
            send(number, now: now)
        }
        isRunning = false
        reading.sent = pacer.sent
        reading.lateness = pacer.lateness
        reading.isFinished = pacer.isFinished
        guard let next = pacer.wake, next != wake else { return }
        wake = next
        eventLoop.assumeIsolated().scheduleTask(deadline: next) {
            self.wake = nil
            self.run()
        }
    }

    /// Sends no more; what is under way may still be accepted.
    func stop() {
        pacer.stop()
        run()
    }

    private func send(_ number: Int, now: NIODeadline) {
        let topic = number % plan.topics
        var payload = ByteBuffer()
        payload.reserveCapacity(max(plan.size, Marker.length))
        // A stream hears one topic, so each topic is numbered for itself.
        marker.write(sequence: UInt32(number / plan.topics), sentAt: now, size: plan.size, to: &payload)
        publish(payload, topic).assumeIsolated().whenComplete { result in
            self.pacer.acknowledged()
            switch result {
            case .success(let nodes):
                self.reading.accepted += 1
                self.reading.published[topic] += 1
                if nodes == 0 { self.reading.unheard += 1 }
            case .failure(let error):
                self.reading.failed += 1
                self.reading.firstFailure = self.reading.firstFailure ?? NetworkError.reason(error)
            }
            self.run()
        }
    }
}

@available(*, unavailable)
extension PacedPublisher: Sendable {}
