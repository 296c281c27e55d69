// SPDX-License-Identifier: Apache-2.0
import DequeModule
import NIOCore

/// How long all connections of a loop together may have their requests taken apart before others have their turn: events
/// for open streams, above all.
///
/// Without it a single peer fills a turn: NIO reads a connection that its peer has ended to the end at once, and in a megabyte
/// there is room for thirty thousand requests. Lives on its loop.
package final class Turns {
    private static let length = TimeAmount.milliseconds(1)
    /// A task for the loop's next turn (`execute`) is run before it looks at its sockets again; one that is due a little later
    /// is not.
    private static let pause = TimeAmount.microseconds(100)

    private let eventLoop: any EventLoop
    private var end: NIODeadline?
    private var isScheduled = false
    /// Those that wait have their turn; whoever comes now waits behind them.
    private var isResuming = false
    /// Connections with bytes for which there was no time, in the order in which they came.
    private var waiting: Deque<() -> Void> = []
    private let clock: () -> NIODeadline

    /// - Parameter clock: tells the time also in the middle of a turn.
    package init(eventLoop: any EventLoop, clock: @escaping () -> NIODeadline) {
        self.eventLoop = eventLoop
        self.clock = clock
    }

    /// Whether a connection may go on now.
    package func hasTime() -> Bool {
        guard isResuming || waiting.isEmpty else { return false }
        let now = clock()
        if let end { return now < end }
        end = now + Turns.length
        eventLoop.assumeIsolated().execute { [self] in end = nil }
        return true
    }

    /// Goes on with a connection in one of the next turns.
    package func wait(_ goOn: @escaping () -> Void) {
        waiting.append(goOn)
        scheduleNext()
    }

    private func scheduleNext() {
        guard !isScheduled else { return }
        isScheduled = true
        eventLoop.assumeIsolated().scheduleTask(in: Turns.pause) { [self] in
            isScheduled = false
            isResuming = true
            var count = waiting.count
            while count > 0, hasTime(), let goOn = waiting.popFirst() {
                count -= 1
                goOn()
            }
            isResuming = false
            if !waiting.isEmpty { scheduleNext() }
        }
    }
}

@available(*, unavailable)
extension Turns: Sendable {}
