// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import NIOPosix
import SluiceCore
import SluiceGateway
import SluiceRedis
import Synchronization
import TestSupport
import Testing

/// A broker of a cluster on its own, and all that it tells a node.
final class ClusterProbe: Sendable {
    enum Notice: Equatable, Sendable {
        case up(Int)
        case down(Int)
        /// Of the target with this number: the data as text, without the envelope.
        case event(TargetNumber, String)
        case confirmed(Target)
        case gone(Target)
        case clock(Int)
        case alive(Int)
        case order(String)
        case refused(RedisRefusal)
    }

    private final class Recorder: Sendable {
        let notices = Mutex<[Notice]>([])
    }

    private let loop = MultiThreadedEventLoopGroup.singleton.any()
    private let recorder = Recorder()
    private let box: NIOLoopBoundBox<ClusterBroker?>
    private let numbers = Mutex<[Target: TargetNumber]>([:])

    /// - Parameter authority: the certificates to trust.
    init(_ url: String, nodeID: String = "n", authority: String? = nil, logger: Logger? = nil) async throws {
        let (loop, recorder) = (loop, recorder)
        let box = NIOLoopBoundBox.makeEmptyBox(valueType: ClusterBroker.self, eventLoop: loop)
        self.box = box
        let address = try RedisURL(url)
        let endpoint = try RedisEndpoint(
            url: address, certificateAuthority: authority, clientName: "sluice-\(nodeID)")
        let log = logger ?? Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        try await loop.submit {
            let broker = ClusterBroker(
                seeds: address.hosts, endpoint: endpoint, prefix: "sluice", nodeID: nodeID,
                presenceEvents: 100, eventLoop: loop, logger: log)
            box.value = broker
            broker.start { notice in
                guard let notice = ClusterProbe.notice(notice) else { return }
                recorder.notices.withLock { $0.append(notice) }
            }
        }.get()
    }

    deinit {
        // A test that fails leaves it running.
        let box = box
        loop.execute { box.value?.stop() }
    }

    private static func notice(_ notice: BrokerNotice) -> Notice? {
        switch notice {
        case .message(let payload, let number):
            let start = (try? Envelope(decoding: payload))?.dataOffset ?? 0
            return .event(number, String(decoding: payload[start...], as: UTF8.self))
        case .confirmed(let target): return .confirmed(target)
        case .gone(let target): return .gone(target)
        case .up(let partition): return .up(partition.index)
        case .down(let partition): return .down(partition.index)
        case .alive(let partition): return .alive(partition.index)
        case .clock(_, let partition): return .clock(partition.index)
        case .control(let payload): return .order(String(decoding: payload, as: UTF8.self))
        case .refused(let refusal): return .refused(refusal)
        case .event, .readComplete, .serverTime, .ordered, .answer: return nil
        }
    }

    var notices: [Notice] { recorder.notices.withLock { $0 } }

    func forget() { recorder.notices.withLock { $0 = [] } }

    /// The partitions that are up, as the notices say.
    var up: Set<Int> {
        notices.reduce(into: []) { set, notice in
            switch notice {
            case .up(let partition): set.insert(partition)
            case .down(let partition): set.remove(partition)
            default: break
            }
        }
    }

    func isWhole() async -> Bool {
        await eventually(within: 20) { self.up.count == Partitioning.clusterCount }
    }

    func events(of target: Target) -> [String] {
        let number = numbers.withLock { $0[target] }
        return notices.compactMap { if case .event(number, let data) = $0 { data } else { nil } }
    }

    var events: Int { notices.count { if case .event = $0 { true } else { false } } }

    private func on<Value: Sendable>(_ body: @escaping @Sendable (ClusterBroker) throws -> Value) async throws -> Value
    {
        let box = box
        return try await loop.submit {
            guard let broker = box.value else { throw RedisError.unavailable }
            return try body(broker)
        }.get()
    }

    private func future<Value: Sendable>(
        _ body: @escaping @Sendable (ClusterBroker) -> EventLoopFuture<Value>
    ) async throws -> Value {
        let (box, loop) = (box, loop)
        return try await loop.flatSubmit {
            box.value.map(body) ?? loop.makeFailedFuture(RedisError.unavailable)
        }.get()
    }

    /// Wants them all in one turn.
    func want(_ targets: [Target]) async throws {
        let numbered = numbers.withLock { numbers in
            targets.map { target in
                let number =
                    numbers[target]
                    ?? TargetNumber(UInt64(numbers.count + 1), in: Partitioning.cluster.partition(of: target))
                numbers[target] = number
                return (target, number)
            }
        }
        try await on { broker in
            for (target, number) in numbered { _ = broker.want(target, as: number) }
        }
    }

    func release(_ target: Target) async throws {
        try await on { $0.release(target) }
    }

    /// Wants them, and waits until what is published to them arrives.
    func listen(to targets: [Target]) async throws -> Bool {
        try await want(targets)
        return await eventually(within: 20) {
            let confirmed = Set(self.notices.compactMap { if case .confirmed(let target) = $0 { target } else { nil } })
            return confirmed.isSuperset(of: targets)
        }
    }

    func publish(_ publication: Publication) async throws -> Receipt {
        try await future { $0.publish(publication) }
    }

    func publish(_ data: String, to target: Target, isLogged: Bool = true) async throws -> Receipt {
        try await publish(
            Publication(Event(ByteBuffer(string: data)), to: target, retention: isLogged ? .init() : nil))
    }

    func order(_ message: ControlMessage) async throws -> Int {
        try await future { $0.order(message) }
    }

    func mark(_ partition: Partition, _ targets: [Target]) async throws -> ClockReading {
        try await future { $0.mark(partition, markersOf: targets) }
    }

    func read(_ reads: [LogRead], of partition: Partition) async throws -> [LogRead.Outcome] {
        try await future { $0.read(partition, reads, bytes: 1 << 20) }
    }

    func refusal(of bytes: Int) async throws -> PublishFailure? {
        try await on { $0.refusal(of: bytes) }
    }

    func reconnect(_ partition: Partition) async throws {
        try await on { $0.reconnect(partition) }
    }

    /// Once of each partition.
    func tick() async throws {
        try await on { broker in
            for partition in Partitioning.cluster.partitions { broker.tick(partition, known: .zero, entry: nil) }
        }
    }

    func stop() async throws {
        let box = box
        try await loop.submit {
            box.value?.stop()
            box.value = nil
        }.get()
    }
}

extension RedisCluster {
    /// Topics of which each partition has as many.
    static func topics(perPartition count: Int) throws -> [Target] {
        var topics: [Partition: [Target]] = [:]
        var number = 0
        while topics.values.reduce(0, { $0 + $1.count }) < count * Partitioning.clusterCount {
            let topic = try Target.topic("t\(number)")
            number += 1
            let partition = Partitioning.cluster.partition(of: topic)
            if topics[partition, default: []].count < count { topics[partition, default: []].append(topic) }
        }
        return topics.values.flatMap(\.self)
    }

    static let names = RedisNames(prefix: "sluice", partitioning: .cluster)
}
