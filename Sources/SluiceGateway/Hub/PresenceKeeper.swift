// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceCore
import SluiceRedis

/// Tells the broker which clients come and go: performs what its ``PresenceMachine`` says.
///
/// Lives on the hub's loop.
final class PresenceKeeper {
    /// How often it looks whether somebody has left for good. Nobody is asked anything.
    private static let interval = TimeAmount.milliseconds(250)

    private let broker: any Broker
    private let eventLoop: any EventLoop
    private let logger: Logger
    private var machine: PresenceMachine
    private var timer: RepeatedTask?
    private var isStopped = false
    private var complaints = Complaints(interval: .minutes(1))

    /// - Parameter started: in milliseconds since 1970.
    init(node: String, started: UInt64, broker: any Broker, eventLoop: any EventLoop, logger: Logger) {
        self.broker = broker
        self.eventLoop = eventLoop
        self.logger = logger
        machine = PresenceMachine(node: node, started: started, now: eventLoop.now)
    }

    func stop() {
        timer?.cancel()
        isStopped = true
    }

    func changed(_ changes: [ShardPresence.Change]) {
        for change in changes {
            if change.isPresent {
                machine.arrived(change.client)
            } else {
                machine.left(change.client, now: eventLoop.now)
            }
        }
        if timer != nil { goOn() }
    }

    /// The broker is there, for the first time or again.
    func brokerIsBack() {
        machine.mayRetry(now: eventLoop.now)
        goOn()
        guard timer == nil else { return }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        timer = eventLoop.scheduleRepeatedTask(initialDelay: PresenceKeeper.interval, delay: PresenceKeeper.interval) {
            _ in
            bound.value.goOn()
        }
    }

    private func goOn() {
        guard !isStopped, let call = machine.next(now: eventLoop.now) else { return }
        broker.presence(call).assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let reply): machine.received(reply, now: eventLoop.now)
            case .failure(let error):
                machine.failed(now: eventLoop.now)
                // That there is no connection is said elsewhere.
                if error as? RedisError != .unavailable, complaints.isDue("presence", now: eventLoop.now) {
                    logger.warning(
                        "the node can't tell Redis who comes and goes, and tries again",
                        metadata: ["reason": "\(error)"])
                }
            }
            goOn()
        }
    }
}

@available(*, unavailable)
extension PresenceKeeper: Sendable {}
