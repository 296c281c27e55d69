// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceCore

/// Has the shards end some of their streams when this node has more than its share, as the registry has it.
///
/// Lives on the hub's loop. What is too much, and how much of it ends when, ``Rebalancer`` says.
final class Rebalancing {
    private static let interval = TimeAmount.seconds(1)
    /// Entries of the registry are as old as a tick, and their sum changes slowly.
    private static let readInterval = TimeAmount.seconds(5)

    private let broker: any Broker
    private let output: FeedOutput
    private let eventLoop: any EventLoop
    private let reporter: NodeReporter
    private let logger: Logger
    private var rebalancer = Rebalancer()
    /// Streams of other nodes that take new ones; nil: not known.
    private var others: [Int]?
    private var nextRead = NIODeadline.uptimeNanoseconds(0)
    private var timer: RepeatedTask?

    init(broker: any Broker, output: FeedOutput, eventLoop: any EventLoop, reporter: NodeReporter, logger: Logger) {
        self.broker = broker
        self.output = output
        self.eventLoop = eventLoop
        self.reporter = reporter
        self.logger = logger
    }

    func start() {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        timer = eventLoop.scheduleRepeatedTask(
            initialDelay: Rebalancing.interval, delay: Rebalancing.interval
        ) { _ in bound.value.look(now: bound.eventLoop.now) }
    }

    func stop() {
        timer?.cancel()
    }

    private func look(now: NIODeadline) {
        if now >= nextRead {
            nextRead = now + Rebalancing.readInterval
            read()
        }
        let own = reporter.entry(now: now)
        // Without Redis nothing is known of others.
        guard own.isReady, !own.isDraining, let others else { return }
        let wasResting = rebalancer.isResting
        let count = rebalancer.surplus(own: own.streams, others: others, now: now)
        if count > 0 { output.sendToAll(.rebalance(share: Double(count) / Double(own.streams))) }
        if rebalancer.isResting, !wasResting {
            logger.warning(
                "streams that were ended to be taken by other nodes come back to this one; no more are ended for a while",
                metadata: ["setting": "--rebalance", "streams": "\(own.streams)"])
        }
    }

    private func read() {
        broker.nodes().assumeIsolated().flatMap { [broker, eventLoop, node = reporter.node] nodes in
            EventLoopFuture.whenAllSucceed(
                nodes.filter { $0 != node }.map { broker.entry(of: $0) }, on: eventLoop)
        }.whenComplete { [self] result in
            others = (try? result.get()).map { entries in
                entries.compactMap(\.self).filter { $0.isReady && !$0.isDraining }.map(\.streams)
            }
        }
    }
}

@available(*, unavailable)
extension Rebalancing: Sendable {}
