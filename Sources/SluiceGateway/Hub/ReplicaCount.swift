// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import SluiceRedis

/// Asks Redis how many of its replicas have what this node has published.
///
/// `WAIT` blocks the connection, on which ticks and the events of others wait behind it. So it is sent for a millisecond
/// only, again and again with a pause, one at a time: its answer is for all whose events had been sent before.
final class ReplicaCount {
    private struct Waiting {
        let wanted: Int
        let end: NIODeadline
        let promise: EventLoopPromise<Int>
    }

    /// Whoever waits is answered after this with what there is.
    static let limit = TimeAmount.seconds(1)
    private static let pause = TimeAmount.milliseconds(10)

    private let eventLoop: any EventLoop
    private let send: (RESPCommand) -> EventLoopFuture<RESPValue>
    private var waiting: [Waiting] = []
    private var isAsking = false
    private var isPausing = false
    private var round = 0

    init(on eventLoop: any EventLoop, send: @escaping (RESPCommand) -> EventLoopFuture<RESPValue>) {
        self.eventLoop = eventLoop
        self.send = send
    }

    /// Waits until so many have everything that was published before, or for a second.
    ///
    /// - Returns: how many are known to have it; never fails.
    func reach(_ wanted: Int) -> EventLoopFuture<Int> {
        let promise = eventLoop.makePromise(of: Int.self)
        waiting.append(Waiting(wanted: wanted, end: eventLoop.now + ReplicaCount.limit, promise: promise))
        ask()
        return promise.futureResult
    }

    /// There is a new connection: of what was published on the one before it knows nothing.
    func restart() {
        round += 1
        let lost = waiting
        waiting = []
        for one in lost { one.promise.succeed(0) }
    }

    private func ask() {
        guard !isAsking, !isPausing, let wanted = waiting.map(\.wanted).max() else { return }
        isAsking = true
        let asked = waiting.count
        let round = round
        send(["WAIT", "\(wanted)", "1"]).assumeIsolated().whenComplete { [self] result in
            isAsking = false
            guard round == self.round else { return ask() }
            guard case .success(.integer(let count)) = result else { return answer(asked, Int.max) }
            answer(asked, Int(clamping: count))
        }
    }

    /// - Parameter count: `.max`: Redis does not say, and won't.
    private func answer(_ asked: Int, _ count: Int) {
        let now = eventLoop.now
        let (served, later) = (waiting.prefix(asked), waiting.dropFirst(asked))
        var rest: [Waiting] = []
        for one in served {
            if count == .max {
                one.promise.succeed(0)
            } else if count >= one.wanted || now >= one.end {
                one.promise.succeed(count)
            } else {
                rest.append(one)
            }
        }
        waiting = rest + later
        guard !waiting.isEmpty else { return }
        // Whoever comes meanwhile does not shorten it.
        isPausing = true
        eventLoop.assumeIsolated().scheduleTask(in: ReplicaCount.pause) { [self] in
            isPausing = false
            ask()
        }
    }
}
