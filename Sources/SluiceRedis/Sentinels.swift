// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore

/// The Sentinels that watch a master: where they say it is.
///
/// One question at a time, whoever waits for its answer. Connections to them are kept, because a node asks every few
/// seconds. To be used on its event loop.
package final class Sentinels: Sendable, CustomStringConvertible {
    /// `description` says what nobody knew.
    package struct NoAnswer: Error, CustomStringConvertible {
        package let description: String
    }

    private static let patience = TimeAmount.seconds(1)
    /// A hint reaches all nodes in the same instant.
    private static let hintSpread = Int64(0)...TimeAmount.milliseconds(250).nanoseconds

    package let description: String
    /// How to log in to the servers; where they are the Sentinels say.
    package let server: RedisEndpoint
    private let master: String
    private let endpoints: [RedisEndpoint]
    private let eventLoop: any EventLoop
    private let logger: Logger?
    private let state: NIOLoopBoundBox<State>

    private struct Question {
        var round: SentinelRound
        let number: Int
        let promise: EventLoopPromise<RedisAddress>
    }

    private struct State {
        /// By the Sentinel's number; nil where there is none and none is being made.
        var connections: [EventLoopFuture<RedisConnection>?]
        /// Sentinels of which the log says that they don't answer.
        var silent: Set<Int> = []
        var question: Question?
        var questions = 0
        var last: RedisAddress?
        var onHint: (() -> Void)?
        /// Subscriptions to `+switch-master`, by the Sentinel's number: at all of them, because the one that leads a
        /// failover says it last.
        var hints: [EventLoopFuture<RedisConnection>?]
    }

    /// - Parameters:
    ///   - url: of the Sentinels, for the log.
    ///   - master: the name under which they watch it.
    ///   - sentinels: where they are and how to log in to them; at least one.
    ///   - server: its login, and any address.
    package init(
        _ url: RedisURL, master: String, server: RedisEndpoint, login: SentinelLogin, on eventLoop: any EventLoop,
        logger: Logger? = nil
    ) {
        description = url.description
        self.master = master
        self.server = server
        var sentinel = server
        (sentinel.user, sentinel.password, sentinel.database) = (login.user, login.password, 0)
        endpoints = url.hosts.map { sentinel.at($0) }
        self.eventLoop = eventLoop
        self.logger = logger
        let none = [EventLoopFuture<RedisConnection>?](repeating: nil, count: endpoints.count)
        let state = State(connections: none, hints: none)
        self.state = NIOLoopBoundBox.makeBoxSendingValue(state, eventLoop: eventLoop)
    }

    /// Asks all where the master is; fails with ``NoAnswer``. Who asks meanwhile shares the answer.
    package func find() -> EventLoopFuture<RedisAddress> {
        if let question = state.value.question { return question.promise.futureResult }
        state.value.questions += 1
        let number = state.value.questions
        let promise = eventLoop.makePromise(of: RedisAddress.self)
        state.value.question = Question(
            round: SentinelRound(sentinels: endpoints.count, before: state.value.last), number: number,
            promise: promise)
        for sentinel in endpoints.indices { ask(sentinel, number) }
        eventLoop.assumeIsolated().scheduleTask(in: Sentinels.patience) { [weak self] in
            guard let self, self.state.value.question?.number == number else { return }
            self.conclude(self.state.value.question?.round.timeIsUp())
        }
        return promise.futureResult
    }

    private func ask(_ sentinel: Int, _ number: Int) {
        let command: RESPCommand = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", master]
        connect(to: sentinel, as: \.connections).assumeIsolated().flatMap { connection in
            connection.send(command, timeout: Sentinels.patience)
        }.whenComplete { [weak self] result in
            guard let self else { return }
            let answer = SentinelRound.Answer(result)
            self.note(answer, of: sentinel)
            guard self.state.value.question?.number == number else { return }
            self.conclude(self.state.value.question?.round.answered(answer, by: sentinel))
        }
    }

    /// - Parameter kind: where the connection is kept while it lives.
    private func connect(
        to sentinel: Int, as kind: WritableKeyPath<State, [EventLoopFuture<RedisConnection>?]>
    ) -> EventLoopFuture<RedisConnection> {
        if let connection = state.value[keyPath: kind][sentinel] { return connection }
        let connecting = RedisConnection.connect(
            to: endpoints[sentinel], on: eventLoop, timeout: Sentinels.patience)
        state.value[keyPath: kind][sentinel] = connecting
        connecting.assumeIsolated().whenComplete { [weak self] result in
            switch result {
            case .success(let connection):
                connection.onClose = { [weak self] _ in self?.state.value[keyPath: kind][sentinel] = nil }
            case .failure: self?.state.value[keyPath: kind][sentinel] = nil
            }
        }
        return connecting
    }

    private func conclude(_ outcome: SentinelRound.Outcome?) {
        guard let outcome, let question = state.value.question else { return }
        state.value.question = nil
        switch outcome {
        case .master(let address):
            if let last = state.value.last, last != address {
                logger?.notice(
                    "the Sentinels name another master", metadata: ["was": "\(last)", "is": "\(address)"])
            }
            state.value.last = address
            question.promise.succeed(address)
        case .noSuchMaster:
            question.promise.fail(NoAnswer(description: "the Sentinels know no master \(master)"))
        case .silence(let reasons):
            let parts = endpoints.indices.map { "\(endpoints[$0].address): \(reasons[$0] ?? "no answer")" }
            question.promise.fail(NoAnswer(description: "no Sentinel answers (\(parts.joined(separator: "; ")))"))
        }
        subscribeToHints()
    }

    /// One line when a Sentinel falls silent, and one when it is back: without it the next failover may be missed.
    private func note(_ answer: SentinelRound.Answer, of sentinel: Int) {
        if case .failed(let reason) = answer {
            state.value.hints[sentinel]?.assumeIsolated().whenSuccess { $0.close() }
            guard state.value.silent.insert(sentinel).inserted else { return }
            logger?.warning(
                "a Sentinel does not answer",
                metadata: ["sentinel": "\(endpoints[sentinel].address)", "reason": "\(reason)"])
        } else if state.value.silent.remove(sentinel) != nil {
            logger?.notice(
                "a Sentinel answers again", metadata: ["sentinel": "\(endpoints[sentinel].address)"])
        }
    }

    // MARK: Hints

    /// - Parameter hint: called when a Sentinel says that it follows another master, after a moment that differs from node
    ///   to node. It may be missed: it makes a failover faster, and nothing else.
    package func listen(_ hint: @escaping () -> Void) {
        state.value.onHint = hint
    }

    /// After each question, so that a lost subscription is made anew at the pace at which the node asks.
    private func subscribeToHints() {
        guard state.value.onHint != nil else { return }
        for sentinel in endpoints.indices
        where state.value.hints[sentinel] == nil && !state.value.silent.contains(sentinel) {
            connect(to: sentinel, as: \.hints).assumeIsolated().whenSuccess { [weak self] connection in
                connection.onPush = { [weak self] in self?.heard($0) }
                connection.push(["SUBSCRIBE", "+switch-master"])
            }
        }
    }

    /// `+switch-master` with `mymaster 10.0.0.1 6379 10.0.0.2 6379`.
    private func heard(_ reply: borrowing RESPReply) {
        let isHint = reply.withPush { kind, _, payload in
            kind.elementsEqual("message".utf8) && payload.starts(with: "\(master) ".utf8)
        }
        guard isHint == true else { return }
        let wait = TimeAmount.nanoseconds(Int64.random(in: Sentinels.hintSpread))
        eventLoop.assumeIsolated().scheduleTask(in: wait) { [weak self] in self?.state.value.onHint?() }
    }

    /// Ends all connections. They are made anew if it is asked again.
    package func close() {
        state.value.onHint = nil
        for connection in state.value.connections + state.value.hints {
            connection?.assumeIsolated().whenSuccess { $0.close() }
        }
    }
}
