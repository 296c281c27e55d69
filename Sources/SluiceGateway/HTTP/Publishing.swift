// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Synchronization

/// What may be published over HTTP, how fast, and the way to the hub. All loops ask.
package final class Publishing: Sendable {
    let limits: PublishRequest.Limits
    let linesMax: Int
    private let eventsPerSecond: Int
    private let bytesPerSecond: Int
    private let rate: Mutex<PublishRate>
    private let hub: Confined<Hub>
    private let counters: Counters

    package init(_ settings: Settings, hub: Confined<Hub>, counters: Counters) {
        limits = PublishRequest.Limits(settings)
        linesMax = settings.linesMax
        eventsPerSecond = settings.publishRate
        bytesPerSecond = settings.publishBytes
        rate = Mutex(PublishRate(events: eventsPerSecond, bytes: bytesPerSecond))
        self.hub = hub
        self.counters = counters
    }

    /// Publishes to all of them or, if the broker can't take so much now, to none.
    ///
    /// - Returns: what became of each; never fails.
    func publish(
        _ publications: [Publication], on eventLoop: any EventLoop
    ) -> EventLoopFuture<[Result<Receipt, PublishFailure>]> {
        let hub = hub
        return hub.eventLoop.flatSubmit { hub.value.publish(publications) }.hop(to: eventLoop)
    }

    /// Takes events and bytes off what a publisher may publish now: the holder of a token or, where there is none, an
    /// address.
    ///
    /// - Throws: 429 with the time to come back.
    func admit(
        events: Int, bytes: Int, by grant: Grant, from address: NetworkAddress?, now: NIODeadline
    ) throws(HTTPProblem) {
        let id = grant.id.isEmpty ? "address \(address.map { "\($0.limitKey)" } ?? "unknown")" : grant.id
        let wait = rate.withLock { $0.take(id, events: events, bytes: bytes, now: now) }
        guard let wait else { return }
        counters.publishesLimited.add(1)
        throw .tooManyRequests(
            "more than \(eventsPerSecond) events or \(bytesPerSecond) bytes a second (the node's "
                + "--publish-rate and --publish-bytes)",
            seconds: max(1, Int((wait.nanoseconds + 999_999_999) / 1_000_000_000)))
    }
}
