// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// Hands events of one partition to the broker, few at a time.
///
/// Each partition has its own, so that one that is away, and whose events wait for it, keeps no other's waiting. Lives on the
/// hub's loop.
final class PartitionPublisher {
    typealias Results = [Result<Receipt, PublishFailure>]

    private let partition: Partition
    private let broker: any Broker
    private let eventLoop: any EventLoop
    private var queue = PublishQueue()
    private var promises: [PublishQueue.Ticket: EventLoopPromise<Results>] = [:]
    /// Events are being handed to the broker, which may answer at once.
    private var isPublishing = false

    init(of partition: Partition, broker: any Broker, eventLoop: any EventLoop) {
        self.partition = partition
        self.broker = broker
        self.eventLoop = eventLoop
    }

    /// What waits here, in bytes.
    var bytes: Int { queue.bytes }

    /// - Parameter publications: at least one.
    /// - Returns: what became of each; never fails.
    func publish(_ publications: [Publication]) -> EventLoopFuture<Results> {
        let promise = eventLoop.makePromise(of: Results.self)
        promises[queue.add(publications)] = promise
        publishNext()
        guard let replicas = publications.compactMap(\.replicas).max() else { return promise.futureResult }
        return promise.futureResult.assumeIsolated().flatMap { [self] results in
            count(replicas, of: publications, results)
        }.nonisolated()
    }

    /// How many replicas have all of it; each event of a request waits for the others, because that is one question.
    private func count(_ replicas: Int, of publications: [Publication], _ results: Results) -> EventLoopFuture<Results>
    {
        guard results.contains(where: { (try? $0.get()) != nil }) else {
            return eventLoop.makeSucceededFuture(results)
        }
        return broker.replicas(partition, wanted: replicas).map { count in
            zip(publications, results).map { publication, result in
                guard publication.replicas != nil else { return result }
                return result.map { Receipt(id: $0.id, nodes: $0.nodes, replicas: count) }
            }
        }
    }

    private func publishNext() {
        guard !isPublishing else { return }
        isPublishing = true
        while let (ticket, index, publication) = queue.next() {
            broker.publish(publication).assumeIsolated().whenComplete { [self] result in
                let result = result.mapError { $0 as? PublishFailure ?? .unavailable("\($0)") }
                if let results = queue.answered(ticket, index, result) {
                    promises.removeValue(forKey: ticket)?.succeed(results)
                }
                publishNext()
            }
        }
        isPublishing = false
    }
}

@available(*, unavailable)
extension PartitionPublisher: Sendable {}
