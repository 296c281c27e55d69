// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceCore

/// The feed of a node from a cluster: each partition's channels at the master that has it now, over one connection to each
/// master.
///
/// Only what moves is subscribed anew. Confined to its event loop.
package final class ClusterFeed {
    /// What a feed has to tell.
    package enum Notice {
        /// A message on a channel; the bytes are valid during the call only.
        case message(channel: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer)
        /// Everything that one read of a socket brought was handed over.
        case readComplete
        /// What is published to a channel from now on will arrive.
        case confirmed(String)
        /// Nothing more comes of a channel that nobody wants.
        case gone(String)
        /// Every wanted channel of the partition is confirmed by its master.
        case up(Partition)
        case down(Partition)
        /// Something is not as the topology says; see ``ClusterTopology/look(trusting:doubting:)``.
        case look(trusting: RedisAddress?, doubting: RedisAddress?)
    }

    private static let checkInterval = TimeAmount.seconds(1)
    /// How long a master may say nothing while it is to confirm channels.
    private static let silenceMax = TimeAmount.seconds(5)
    /// Refused channels of a partition that are looked at in one interval.
    private static let checkedMax = Subscriptions.namesPerCommandMax
    private static let complaintInterval = TimeAmount.minutes(1)
    /// What a server of a cluster says that can't carry out anything just now.
    private static let passing = ["CLUSTERDOWN", "LOADING", "MASTERDOWN", "TRYAGAIN"]
    /// How long such a server is left alone, in nanoseconds.
    private static let postponement: ClosedRange<Int64> = 200_000_000...400_000_000

    private let endpoint: RedisEndpoint
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let isMaster: (RedisAddress) -> EventLoopFuture<Bool>
    private let permitted: ([String], Partition) -> EventLoopFuture<[String]>
    private var tell: (Notice) -> Void
    private var partitions: [PartitionChannels]
    /// Who has each partition, as far as is known.
    private var owners = [MasterFeed?](repeating: nil, count: Partitioning.clusterCount)
    private var masters: [ClusterMap.Master: MasterFeed] = [:]
    private var isSendScheduled = false
    private var timer: RepeatedTask?
    private var checksUnanswered = 0
    private var lastComplaint: NIODeadline?

    /// - Parameters:
    ///   - anchors: a channel of each partition that is wanted always.
    ///   - isMaster: asks a server whether it is one, over another connection.
    ///   - permitted: which of these channels of a partition, which were refused, Redis permits by now.
    package init(
        from endpoint: RedisEndpoint, anchors: [String], on eventLoop: any EventLoop, logger: Logger,
        linger: TimeAmount, isMaster: @escaping (RedisAddress) -> EventLoopFuture<Bool>,
        permitted: @escaping ([String], Partition) -> EventLoopFuture<[String]>, tell: @escaping (Notice) -> Void
    ) {
        self.endpoint = endpoint
        self.eventLoop = eventLoop
        self.logger = logger
        self.isMaster = isMaster
        self.permitted = permitted
        self.tell = tell
        partitions = anchors.map { PartitionChannels(anchor: $0, linger: linger) }
    }

    package func start() {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        timer = eventLoop.scheduleRepeatedTask(
            initialDelay: ClusterFeed.checkInterval, delay: ClusterFeed.checkInterval
        ) { _ in bound.value.check() }
    }

    package func stop() {
        timer?.cancel()
        for feed in masters.values { feed.stop() }
        masters = [:]
        owners = Array(repeating: nil, count: owners.count)
        // What is scheduled may still run.
        tell = { _ in }
    }

    /// Every partition is up.
    package var isWhole: Bool { partitions.allSatisfy { $0.phase == .up } }

    // MARK: Channels

    /// - Returns: whether what is published from now on arrives; otherwise a notice will say so.
    package func want(_ channel: String, of partition: Partition) -> Bool {
        let isConfirmed = partitions[partition.index].want(channel)
        if !isConfirmed { scheduleSend() }
        return isConfirmed
    }

    package func release(_ channel: String, of partition: Partition) {
        partitions[partition.index].release(channel, now: eventLoop.now)
        reportGone(partition)
    }

    /// The master is to send nothing of a channel for so long. It is confirmed again once it does.
    package func pause(_ channel: String, of partition: Partition, for time: TimeAmount) {
        partitions[partition.index].pause(channel, until: eventLoop.now + time)
        scheduleSend()
    }

    private func reportGone(_ partition: Partition) {
        for name in partitions[partition.index].takeGone() { tell(.gone(name)) }
    }

    /// Channels that are wanted in one turn of the loop share a command.
    private func scheduleSend() {
        guard !isSendScheduled else { return }
        isSendScheduled = true
        eventLoop.assumeIsolated().execute { [self] in
            isSendScheduled = false
            for partition in Partitioning.cluster.partitions { sendCommands(partition) }
        }
    }

    private func sendCommands(_ partition: Partition) {
        if let owner = owners[partition.index], partitions[partition.index].isOpen {
            while let command = partitions[partition.index].next(now: eventLoop.now) {
                owner.send(command, of: partition, opening: partitions[partition.index].opening)
            }
        }
        reportGone(partition)
    }

    // MARK: Masters

    /// Takes what a look at the topology has shown.
    package func use(_ map: ClusterMap) {
        for partition in Partitioning.cluster.partitions {
            let master = map.owners[partition.index]
            if owners[partition.index]?.master != master {
                close(partition)
                owners[partition.index] = master.map { feed(of: $0) }
            }
            // Also one that its master has sent away, and that has come back to it.
            if owners[partition.index]?.isConnected == true, !partitions[partition.index].isOpen { open(partition) }
        }
        for (master, feed) in masters where !map.owners.contains(master) {
            masters[master] = nil
            feed.stop()
        }
    }

    private func feed(of master: ClusterMap.Master) -> MasterFeed {
        if let feed = masters[master] { return feed }
        let feed = MasterFeed(master, from: endpoint, on: eventLoop, logger: logger) { [unowned self] in
            take($0, from: master)
        }
        masters[master] = feed
        feed.start()
        return feed
    }

    /// Makes the connection to a partition's master anew, which brings nothing.
    package func reconnect(_ partition: Partition) {
        guard let owner = owners[partition.index] else { return }
        owner.reconnect()
        tell(.look(trusting: nil, doubting: owner.master.address))
    }

    private func open(_ partition: Partition) {
        partitions[partition.index].open()
        sendCommands(partition)
    }

    private func close(_ partition: Partition) {
        // Also where it was not up yet: some channels may have been confirmed, and streams have begun with them.
        if partitions[partition.index].close() { tell(.down(partition)) }
    }

    private func partitions(of feed: MasterFeed) -> [Partition] {
        Partitioning.cluster.partitions.filter { owners[$0.index] === feed }
    }

    private func take(_ notice: MasterFeed.Notice, from master: ClusterMap.Master) {
        guard let feed = masters[master] else { return }
        switch notice {
        case .connected:
            for partition in partitions(of: feed) { open(partition) }
        case .lost:
            for partition in partitions(of: feed) { close(partition) }
            tell(.look(trusting: nil, doubting: master.address))
        case .message(let channel, let payload):
            // A master that has become a replica may bring what its successor brings as well.
            guard let partition = RedisNames.partition(of: channel), isOpen(partition, at: feed) else { return }
            tell(.message(channel: channel, payload: payload))
        case .readComplete: tell(.readComplete)
        case .subscribed(let name, let partition, let opening):
            guard isOpen(partition, at: feed, opening) else { return }
            subscribed(name, partition)
        case .unsubscribed(let name, let partition, let opening):
            guard isOpen(partition, at: feed, opening) else { return }
            partitions[partition.index].unsubscribed(name)
            goOn(partition)
        case .dropped(let channel):
            guard let partition = RedisNames.partition(of: channel), isOpen(partition, at: feed) else { return }
            sendAway(partition, trusting: nil)
        case .refused(let reply, let partition, let opening):
            guard isOpen(partition, at: feed, opening) else { return }
            refused(reply, partition, by: master.address)
        }
    }

    private func isOpen(_ partition: Partition, at feed: MasterFeed, _ opening: Int? = nil) -> Bool {
        guard owners[partition.index] === feed, partitions[partition.index].isOpen else { return false }
        return opening.map { $0 == partitions[partition.index].opening } ?? true
    }

    private func subscribed(_ name: String, _ partition: Partition) {
        let before = partitions[partition.index].phase
        if partitions[partition.index].subscribed(name, now: eventLoop.now) { tell(.confirmed(name)) }
        if before != partitions[partition.index].phase { checkMaster(partition) }
        goOn(partition)
    }

    private func goOn(_ partition: Partition) {
        sendCommands(partition)
        if partitions[partition.index].settle() { tell(.up(partition)) }
    }

    /// The partition is elsewhere by now; where, the next look at the topology shows.
    private func sendAway(_ partition: Partition, trusting address: RedisAddress?) {
        close(partition)
        tell(.look(trusting: address, doubting: nil))
    }

    private func checkMaster(_ partition: Partition) {
        guard partitions[partition.index].phase == .checking, let owner = owners[partition.index] else { return }
        let opening = partitions[partition.index].opening
        isMaster(owner.master.address).assumeIsolated().whenComplete { [weak self] result in
            guard let self, isOpen(partition, at: owner, opening), case .success(let isMaster) = result else { return }
            guard isMaster else { return sendAway(partition, trusting: nil) }
            for name in partitions[partition.index].isMaster() { tell(.confirmed(name)) }
            goOn(partition)
        }
    }

    /// There is a connection over which this master can be asked.
    package func canAsk(_ address: RedisAddress) {
        for partition in Partitioning.cluster.partitions where owners[partition.index]?.master.address == address {
            checkMaster(partition)
        }
    }

    // MARK: Refusals

    /// What the master has to say may be true of the whole cluster, as while another master is dead: what is subscribed stays.
    private func postpone(_ partition: Partition) {
        let time = eventLoop.now + .nanoseconds(.random(in: ClusterFeed.postponement))
        partitions[partition.index].postponed(until: time, now: eventLoop.now)
        tell(.look(trusting: nil, doubting: nil))
        eventLoop.assumeIsolated().scheduleTask(deadline: time) { [weak self] in self?.sendCommands(partition) }
    }

    private func refused(_ reply: RESPValue, _ partition: Partition, by address: RedisAddress) {
        if case .error(let message) = reply {
            if let redirection = Redirection(message, asked: address) {
                return sendAway(partition, trusting: redirection.address)
            }
            if ClusterFeed.passing.contains(where: message.hasPrefix) { return postpone(partition) }
        }
        if let name = partitions[partition.index].refused() { complain(name, reply, partition) }
        goOn(partition)
    }

    /// Once a minute: there may be very many, and clients choose their names.
    private func complain(_ name: String, _ reply: RESPValue, _ partition: Partition) {
        if let lastComplaint, eventLoop.now - lastComplaint < ClusterFeed.complaintInterval { return }
        lastComplaint = eventLoop.now
        logger.error(
            "Redis refuses channels; nothing of them arrives until it permits them",
            metadata: [
                "channel": "\(name)", "reply": "\(reply)", "refused": "\(partitions[partition.index].refusedCount)",
            ])
    }

    private func check() {
        for partition in Partitioning.cluster.partitions {
            sendCommands(partition)
            checkMaster(partition)
            checkRefused(partition)
        }
        // Once a partition is up, ticks show that it is alive.
        for feed in masters.values
        where feed.silence > ClusterFeed.silenceMax
            && partitions(of: feed).contains(where: { partitions[$0.index].phase != .up })
        {
            feed.reconnect()
        }
    }

    /// Rights may have been granted since: some of the refused channels are looked at, in turn.
    private func checkRefused(_ partition: Partition) {
        guard partitions[partition.index].isOpen, checksUnanswered == 0 else { return }
        let names = partitions[partition.index].nextToCheck(max: ClusterFeed.checkedMax)
        guard !names.isEmpty else { return }
        checksUnanswered += 1
        permitted(names, partition).assumeIsolated().whenComplete { [self] result in
            checksUnanswered -= 1
            guard case .success(let permitted) = result else { return }
            partitions[partition.index].permitted(permitted)
            sendCommands(partition)
        }
    }
}

@available(*, unavailable)
extension ClusterFeed: Sendable {}
