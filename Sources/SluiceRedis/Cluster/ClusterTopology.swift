// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore

/// Looks at a cluster's topology, as ``ClusterLookup`` says when. Confined to its event loop.
package final class ClusterTopology {
    /// How long one server may take to answer.
    private static let answerTime = TimeAmount.seconds(1)
    private static let complaintInterval = TimeAmount.minutes(1)

    private let endpoint: RedisEndpoint
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let link: (RedisAddress) -> RedisLink?
    private let use: (ClusterMap) -> Void
    private let isWhole: () -> Bool
    private var lookup: ClusterLookup
    /// Names a question, so that an answer that comes too late is nobody's.
    private var question = 0
    private var timer: Scheduled<Void>?
    private var wakeTime: NIODeadline?
    private var lastComplaint: NIODeadline?
    /// Why the last server that gave no answer gave none.
    private var problem = ""
    /// Why nobody has answered, if that is so since the last look-up.
    package private(set) var outage: String?

    /// - Parameters:
    ///   - endpoint: a login, which is the same at all servers.
    ///   - link: to a server that there is one to; others are asked over a connection of their own.
    ///   - use: takes the answer of each look-up.
    ///   - isWhole: whether everything is as it should be after that; else the next look-up comes soon.
    package init(
        seeds: [RedisAddress], endpoint: RedisEndpoint, on eventLoop: any EventLoop, logger: Logger,
        link: @escaping (RedisAddress) -> RedisLink?, use: @escaping (ClusterMap) -> Void,
        isWhole: @escaping () -> Bool
    ) {
        self.endpoint = endpoint
        self.eventLoop = eventLoop
        self.logger = logger
        self.link = link
        self.use = use
        self.isWhole = isWhole
        lookup = ClusterLookup(seeds: seeds)
    }

    package func start() {
        wake()
    }

    package func stop() {
        lookup.stop()
        timer?.cancel()
    }

    /// Something is not as the newest answer said.
    ///
    /// - Parameters:
    ///   - trusted: who should know better.
    ///   - doubted: who may not answer.
    package func look(trusting trusted: RedisAddress? = nil, doubting doubted: RedisAddress? = nil) {
        var generator = SystemRandomNumberGenerator()
        wake(at: lookup.wanted(trusting: trusted, doubting: doubted, now: eventLoop.now, using: &generator))
    }

    private func wake(at time: NIODeadline?) {
        guard let time, wakeTime.map({ time < $0 }) ?? true else { return }
        wakeTime = time
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(deadline: time) { bound.value.wake() }
    }

    private func wake() {
        wakeTime = nil
        var generator = SystemRandomNumberGenerator()
        perform(lookup.woken(now: eventLoop.now, using: &generator))
    }

    private func perform(_ action: ClusterLookup.Action) {
        switch action {
        case .ask(let address): ask(address)
        case .use(let map): finish(map)
        case .ignore: break
        }
    }

    private func ask(_ address: RedisAddress) {
        question += 1
        let number = question
        timer = eventLoop.assumeIsolated().scheduleTask(in: ClusterTopology.answerTime) { [self] in
            answered(number, address, .failure(RedisError.lost("no answer in time")))
        }
        map(seenBy: address).assumeIsolated().whenComplete { [self] in answered(number, address, $0) }
    }

    private func map(seenBy address: RedisAddress) -> EventLoopFuture<ClusterMap> {
        guard let link = link(address) else {
            return ClusterMap.seen(by: address, endpoint, timeout: ClusterTopology.answerTime, on: eventLoop)
        }
        return EventLoopFuture.whenAllSucceed(ClusterMap.commands.map { link.send($0) }, on: eventLoop)
            .flatMapThrowing { try ClusterMap(replies: $0, asked: address) }
    }

    private func answered(_ number: Int, _ address: RedisAddress, _ result: Result<ClusterMap, any Error>) {
        guard number == question else { return }
        question += 1
        timer?.cancel()
        timer = nil
        switch result {
        case .success(let map): perform(lookup.answered(map, by: address))
        case .failure(let error):
            problem = "\(address): \(error)"
            perform(lookup.failed(address))
        }
    }

    private func finish(_ map: ClusterMap?) {
        outage = map == nil ? problem : nil
        if let map {
            if map.owners.contains(nil) { complain("nobody has some slots of the cluster", "slots without a master") }
            use(map)
        } else {
            complain("no server says who is master in the cluster", problem)
        }
        var generator = SystemRandomNumberGenerator()
        wake(at: lookup.rest(isWhole: map != nil && isWhole(), now: eventLoop.now, using: &generator))
    }

    /// Once a minute.
    private func complain(_ message: Logger.Message, _ reason: String) {
        if let lastComplaint, eventLoop.now - lastComplaint < ClusterTopology.complaintInterval { return }
        lastComplaint = eventLoop.now
        logger.error(message, metadata: ["reason": "\(reason)"])
    }
}

@available(*, unavailable)
extension ClusterTopology: Sendable {}
