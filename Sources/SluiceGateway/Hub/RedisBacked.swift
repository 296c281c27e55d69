// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import SluiceRedis

/// A broker whose partitions are at one Redis or at several: what it asks is the same, and only who is asked differs.
package protocol RedisBacked: Broker {
    var names: RedisNames { get }
    var nodeID: String { get }
    /// Entries that the stream of who comes and goes keeps.
    var presenceEvents: Int { get }
    var eventLoop: any EventLoop { get }

    /// Asks the server that has this partition. Fails with ``RedisError``.
    func send(_ command: RESPCommand, to partition: Partition) -> EventLoopFuture<RESPValue>
    /// Publishes there. Fails with ``PublishFailure``.
    func publish(_ command: RESPCommand, to partition: Partition) -> EventLoopFuture<Receipt>
}

extension RedisBacked {
    // MARK: Logs

    package func mark(_ partition: Partition, markersOf targets: [Target]) -> EventLoopFuture<ClockReading> {
        let replies = ClockReading.commands(partition, markersOf: targets, names: names).map {
            send($0, to: partition)
        }
        return EventLoopFuture.whenAllSucceed(replies, on: eventLoop).flatMapThrowing { replies in
            guard let reading = ClockReading(replies: replies, markers: targets.count) else {
                throw RedisError.unavailable
            }
            return reading
        }
    }

    package func read(_ partition: Partition, _ reads: [LogRead], bytes: Int) -> EventLoopFuture<[LogRead.Outcome]> {
        send(SluiceFunction.read(reads, bytes: bytes, names: names), to: partition).flatMapThrowing { reply in
            guard let outcomes = LogRead.outcomes(reply: reply, of: reads.count) else { throw RedisError.unavailable }
            return outcomes
        }
    }

    package func report(_ partition: Partition, _ report: HeardReport) -> EventLoopFuture<Void> {
        send(SluiceFunction.heard(report, partition: partition, names: names), to: partition).map { _ in }
    }

    // MARK: Other nodes

    package func order(_ message: ControlMessage) -> EventLoopFuture<Int> {
        publish(.publish(ByteBuffer(string: message.json), on: names.control, of: partitioning), to: .first)
            .map(\.nodes)
    }

    /// Who does not get it asks in vain, as if this node were not there.
    package func answer(_ answer: SurveyAnswer, to node: String) {
        _ = send(
            .publish(ByteBuffer(string: answer.json), on: names.node(node, .first), of: partitioning), to: .first)
    }

    package func nodes() -> EventLoopFuture<[String]> {
        send(Registry.list(names), to: .first).map { Registry.nodes(reply: $0) }.flatMapErrorThrowing {
            throw PublishFailure(redis: $0)
        }
    }

    package func entry(of node: String) -> EventLoopFuture<NodeEntry?> {
        send(Registry.entry(of: node, names), to: .first).map { Registry.entry(reply: $0) }.flatMapErrorThrowing {
            throw PublishFailure(redis: $0)
        }
    }

    package func presence(_ call: PresenceCall) -> EventLoopFuture<PresenceReply> {
        send(SluiceFunction.presence(call, node: nodeID, kept: presenceEvents, names: names), to: .first)
            .flatMapThrowing { reply in
                guard let reply = PresenceReply(reply, to: call) else {
                    throw PublishFailure.unavailable("Redis sent an unexpected reply")
                }
                return reply
            }
    }

    package func leave() -> EventLoopFuture<Void> {
        send(SluiceFunction.leave(node: nodeID, names: names), to: .first).map { _ in }
    }

    // MARK: Publishing

    package func publish(_ publication: Publication) -> EventLoopFuture<Receipt> {
        publish(
            SluiceFunction.publish(publication, names: names), to: partitioning.partition(of: publication.target))
    }
}

extension EventLoopFuture<RESPValue> {
    /// What Redis answers to a publish. Fails with ``PublishFailure``.
    func receipt() -> EventLoopFuture<Receipt> {
        flatMapThrowing { reply in
            guard let receipt = Receipt(reply: reply) else {
                throw PublishFailure.unavailable("Redis sent an unexpected reply")
            }
            return receipt
        }.flatMapErrorThrowing { throw PublishFailure(redis: $0) }
    }
}
