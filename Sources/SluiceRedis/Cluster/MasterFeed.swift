// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Logging
import NIOCore
import SluiceCore

/// The subscriber connection to one master of a cluster, for all of its partitions. Confined to its event loop.
final class MasterFeed {
    enum Notice {
        /// There is a connection, which is subscribed to nothing.
        case connected
        case lost
        /// A message on a channel; the bytes are valid during the call only.
        case message(channel: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer)
        case readComplete
        /// What was asked for is confirmed; the opening is the one for which it was asked.
        case subscribed(String, Partition, opening: Int)
        case unsubscribed(String, Partition, opening: Int)
        /// A channel's slot is here no more, or this server is no master any more: nobody has asked for it.
        case dropped(channel: UnsafeRawBufferPointer)
        /// A command of this partition was refused as a whole.
        case refused(RESPValue, Partition, opening: Int)
    }

    private static let timeout = TimeAmount.seconds(5)

    /// A command that is not confirmed in full.
    private struct InFlight {
        let partition: Partition
        let opening: Int
        let isSubscribing: Bool
        let names: [String]
        var confirmed = 0
    }

    let master: ClusterMap.Master
    private let tell: (Notice) -> Void
    private let link: RedisLink
    private let eventLoop: any EventLoop
    private var connection: RedisConnection?
    /// Oldest first: replies come in the order of the commands, over all partitions.
    private var inFlight: Deque<InFlight> = []

    init(
        _ master: ClusterMap.Master, from endpoint: RedisEndpoint, on eventLoop: any EventLoop, logger: Logger,
        tell: @escaping (Notice) -> Void
    ) {
        self.master = master
        self.eventLoop = eventLoop
        self.tell = tell
        link = RedisLink(
            to: .member(endpoint.at(master.address)), on: eventLoop, logger: logger, lossNote: "the feed is down",
            returnNote: "the feed is connected again")
    }

    func start() {
        link.start(
            prepare: { [unowned self] connection in
                connection.check(id: master.id, timeout: MasterFeed.timeout).assumeIsolated().map {
                    [weak self, weak connection] in
                    if let self, let connection { use(connection) }
                }.nonisolated()
            }, onLost: { [unowned self] in lost() })
    }

    /// Says nothing more.
    func stop() {
        connection = nil
        link.stop()
    }

    /// Ends the connection; a new one is made.
    func reconnect() {
        connection?.close()
    }

    var isConnected: Bool { connection != nil }

    /// How long the master has said nothing.
    var silence: TimeAmount { connection.map { eventLoop.now - $0.lastRead } ?? .zero }

    private func use(_ connection: RedisConnection) {
        self.connection = connection
        inFlight = []
        connection.onPush = { [unowned self] in received($0) }
        connection.onReadComplete = { [unowned self] in tell(.readComplete) }
        tell(.connected)
    }

    private func lost() {
        guard connection != nil else { return }
        connection = nil
        tell(.lost)
    }

    func send(_ command: Subscriptions.Command, of partition: Partition, opening: Int) {
        guard let connection else { return }
        let (word, names, isSubscribing) =
            switch command {
            case .subscribe(let names): ("SSUBSCRIBE", names, true)
            case .unsubscribe(let names): ("SUNSUBSCRIBE", names, false)
            }
        inFlight.append(
            InFlight(partition: partition, opening: opening, isSubscribing: isSubscribing, names: names))
        connection.push(RESPCommand([word] + names))
    }

    private func received(_ reply: borrowing RESPReply) {
        let isKnown: Bool? = reply.withPush { kind, channel, payload in
            if kind.elementsEqual("smessage".utf8) {
                tell(.message(channel: channel, payload: payload))
            } else if kind.elementsEqual("ssubscribe".utf8) {
                confirmed(channel, isSubscribing: true)
            } else if kind.elementsEqual("sunsubscribe".utf8) {
                confirmed(channel, isSubscribing: false)
            } else {
                return false
            }
            return true
        }
        guard isKnown != true, let command = inFlight.popFirst() else { return }
        tell(.refused(reply.value, command.partition, opening: command.opening))
    }

    private func confirmed(_ channel: UnsafeRawBufferPointer, isSubscribing: Bool) {
        guard let command = inFlight.first, command.isSubscribing == isSubscribing,
            command.names[command.confirmed].utf8.elementsEqual(channel)
        else {
            if !isSubscribing { tell(.dropped(channel: channel)) }
            return
        }
        inFlight[inFlight.startIndex].confirmed += 1
        if command.confirmed + 1 == command.names.count { inFlight.removeFirst() }
        let name = command.names[command.confirmed]
        tell(
            isSubscribing
                ? .subscribed(name, command.partition, opening: command.opening)
                : .unsubscribed(name, command.partition, opening: command.opening))
    }
}

@available(*, unavailable)
extension MasterFeed: Sendable {}
