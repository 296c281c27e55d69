// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import SluiceCore

/// Asks all nodes who is there and how they are, and answers when others ask.
///
/// Lives on the hub's loop.
final class Surveyor {
    /// When who has not answered is taken for dead.
    private static let answerTime = TimeAmount.milliseconds(250)
    /// When a broker that does not say which nodes there are is taken for dead.
    private static let brokerTime = TimeAmount.milliseconds(1500)

    private let broker: any Broker
    private let output: FeedOutput
    private let eventLoop: any EventLoop
    private let reporter: NodeReporter
    /// For how long the quietest feed has brought nothing.
    private let silence: () -> TimeAmount
    private var surveys: Surveys
    private var waiting: [String: EventLoopPromise<Surveys.Outcome>] = [:]

    init(
        broker: any Broker, output: FeedOutput, eventLoop: any EventLoop, reporter: NodeReporter,
        silence: @escaping () -> TimeAmount
    ) {
        self.broker = broker
        self.output = output
        self.eventLoop = eventLoop
        self.reporter = reporter
        self.silence = silence
        surveys = Surveys(of: reporter.node)
    }

    func stop() {
        for id in waiting.keys.map(\.self) { fail(id, PublishFailure.unavailable("the node stops")) }
    }

    // MARK: Asking

    /// Fails with ``PublishFailure``.
    func ask(_ targets: [Target], wantsReport: Bool) -> EventLoopFuture<Surveys.Outcome> {
        let id = String(UInt64.random(in: 0...UInt64.max), radix: 36)
        let question = SurveyQuestion(id: id, asker: reporter.node, targets: targets, wantsReport: wantsReport)
        guard surveys.begin(question) else {
            return eventLoop.makeFailedFuture(PublishFailure.unavailable("too many surveys"))
        }
        let promise = eventLoop.makePromise(of: Surveys.Outcome.self)
        waiting[id] = promise
        // The list first: a node that comes between the two is one more that answers.
        broker.nodes().assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let nodes): finish(id, surveys.registry(nodes, of: id))
            case .failure(let error): fail(id, error)
            }
        }
        broker.order(.survey(question)).assumeIsolated().whenFailure { [self] in fail(id, $0) }
        answer(question) { [self] in finish(id, surveys.answer($0)) }
        eventLoop.assumeIsolated().scheduleTask(in: Surveyor.answerTime) { [weak self] in
            self?.finish(id, self?.surveys.timeIsUp(id))
        }
        eventLoop.assumeIsolated().scheduleTask(in: Surveyor.brokerTime) { [weak self] in
            self?.fail(id, PublishFailure.unavailable("no answer from the broker"))
        }
        return promise.futureResult
    }

    /// What the registry says of nodes that did not answer.
    func entries(of nodes: [String]) -> EventLoopFuture<[String: NodeEntry]> {
        let entries = nodes.map { node in broker.entry(of: node).map { (node, $0) } }
        return EventLoopFuture.whenAllSucceed(entries, on: eventLoop).map { entries in
            Dictionary(entries.compactMap { node, entry in entry.map { (node, $0) } }) { first, _ in first }
        }
    }

    private func finish(_ id: String, _ outcome: Surveys.Outcome?) {
        guard let outcome else { return }
        waiting.removeValue(forKey: id)?.succeed(outcome)
    }

    /// Whatever has become of the question, it can be asked again.
    private func fail(_ id: String, _ error: any Error) {
        surveys.abandon(id)
        waiting.removeValue(forKey: id)?.fail(PublishFailure.unavailable("\(error)"))
    }

    // MARK: Answering

    func receive(_ question: SurveyQuestion) {
        // Its own questions it has answered already.
        guard question.asker != reporter.node else { return }
        answer(question) { [broker] in broker.answer($0, to: question.asker) }
    }

    func receive(_ answer: SurveyAnswer) {
        finish(answer.id, surveys.answer(answer))
    }

    private func answer(_ question: SurveyQuestion, then send: @escaping (SurveyAnswer) -> Void) {
        count(question.targets, wantsSlowest: question.wantsReport) { [self] count in
            func answer(_ report: NodeReport?) {
                send(SurveyAnswer(id: question.id, node: reporter.node, counts: count.targets, report: report))
            }
            guard question.wantsReport else { return answer(nil) }
            NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) { ProcessStatus.read() }.assumeIsolated()
                .whenSuccess { [self] process in
                    answer(
                        reporter.report(
                            silence: silence(), slowest: count.slowest, process: process,
                            partitioning: broker.partitioning, now: eventLoop.now)
                    )
                }
        }
    }

    private func count(_ targets: [Target], wantsSlowest: Bool, then done: @escaping (StreamCount) -> Void) {
        let sum = Sum(of: output.shardCount, targets.count, done)
        let bound = NIOLoopBound(sum, eventLoop: eventLoop)
        output.sendToAll(
            .count(
                .init(targets: targets, wantsSlowest: wantsSlowest) { count in
                    bound.eventLoop.execute { bound.value.add(count) }
                }))
    }
}

@available(*, unavailable)
extension Surveyor: Sendable {}

/// What the shards have counted so far.
private final class Sum {
    private var left: Int
    private var count: StreamCount
    private let done: (StreamCount) -> Void

    init(of shards: Int, _ targets: Int, _ done: @escaping (StreamCount) -> Void) {
        left = shards
        count = StreamCount(targets: Array(repeating: 0, count: targets))
        self.done = done
    }

    func add(_ other: StreamCount) {
        count.add(other)
        left -= 1
        if left == 0 { done(count) }
    }
}
