// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import NIOEmbedded
import NIOHTTP1
import SluiceCore
import SluiceGateway
import Testing

/// A broker that has what a test gives it, and takes note of what it is asked.
final class ScriptedBroker: Broker {
    /// A hub that asks for ever must not keep its test from ending.
    private static let readsMax = 100

    let name = "scripted"
    let partitioning: Partitioning
    private let eventLoop: any EventLoop
    var clock = EventID(ScriptedNode.now, 0)
    var logs: [Target: [LogEntry]] = [:]
    /// Whether what is wanted is heard at once.
    var confirms = true
    var failsToRead = false
    /// Logs that are none.
    var unreadable: Set<Target> = []
    /// Markers of logs that are gone.
    var markers: [Target: LogMarker] = [:]
    private(set) var reconnects = 0
    /// What the node knew at each tick.
    var born = ScriptedNode.born
    private(set) var ticks: [EventID] = []
    /// So many ticks had come when a reading was asked for first.
    private(set) var ticksBeforeMark: Int?
    private(set) var marks = 0
    private(set) var reads = 0
    /// What happens when a read was carried out, and its answer has not come.
    var whileReading: () -> Void = {}
    private(set) var reports: [HeardReport] = []
    /// What nobody listens to any more.
    private(set) var released: [Target] = []
    /// What a read of a log may bring at most, in bytes, as it was asked for last.
    private(set) var bytesOfReads: [Target: Int] = [:]
    private(set) var numbers: [Target: TargetNumber] = [:]
    /// Events that were handed over and wait for their answer.
    var publishing: [EventLoopPromise<Receipt>] = []
    private(set) var published: [Target] = []

    init(eventLoop: any EventLoop, partitioning: Partitioning) {
        self.eventLoop = eventLoop
        self.partitioning = partitioning
    }

    func start(tell: @escaping (BrokerNotice) -> Void) {}
    func stop() {}
    func reconnect(_ partition: Partition) { reconnects += 1 }
    func pause(_ target: Target, for time: TimeAmount) {}
    func release(_ target: Target) { released.append(target) }
    func tick(_ partition: Partition, known: EventID, entry: NodeEntry?) { ticks.append(known) }

    func report(_ partition: Partition, _ report: HeardReport) -> EventLoopFuture<Void> {
        reports.append(report)
        return failsToRead
            ? eventLoop.makeFailedFuture(PublishFailure.unavailable("away")) : eventLoop.makeSucceededVoidFuture()
    }

    func want(_ target: Target, as number: TargetNumber) -> Bool {
        numbers[target] = number
        return confirms
    }

    private func marker(_ target: Target) -> LogMarker? {
        markers[target] ?? logs[target]?.last.map { LogMarker(id: $0.id, ends: $0.event.ends) }
    }

    func mark(_ partition: Partition, markersOf targets: [Target]) -> EventLoopFuture<ClockReading> {
        ticksBeforeMark = ticksBeforeMark ?? ticks.count
        marks += 1
        return eventLoop.makeSucceededFuture(
            ClockReading(clock: clock, born: born, markers: targets.map { marker($0) }))
    }

    func read(_ partition: Partition, _ reads: [LogRead], bytes: Int) -> EventLoopFuture<[LogRead.Outcome]> {
        self.reads += 1
        for read in reads { bytesOfReads[read.target] = read.bytes }
        guard self.reads < ScriptedBroker.readsMax else { return eventLoop.makePromise().futureResult }
        guard !failsToRead else { return eventLoop.makeFailedFuture(PublishFailure.unavailable("away")) }
        defer { whileReading() }
        return eventLoop.makeSucceededFuture(
            reads.map { read in
                guard !unreadable.contains(read.target) else { return .unreadable("WRONGTYPE") }
                let entries = (logs[read.target] ?? []).filter { $0.id > read.after }
                return .page(LogPage(marker: marker(read.target), entries: entries, isLast: true))
            })
    }

    func refusal(of bytes: Int) -> PublishFailure? { nil }

    func publish(_ publication: Publication) -> EventLoopFuture<Receipt> {
        let promise = eventLoop.makePromise(of: Receipt.self)
        publishing.append(promise)
        published.append(publication.target)
        return promise.futureResult
    }

    func replicas(_ partition: Partition, wanted: Int) -> EventLoopFuture<Int> { eventLoop.makeSucceededFuture(0) }

    /// The nodes in the registry; nil: it does not say.
    var registry: [String]?
    private(set) var orders: [ControlMessage] = []
    private(set) var answers: [SurveyAnswer] = []

    func order(_ message: ControlMessage) -> EventLoopFuture<Int> {
        orders.append(message)
        return eventLoop.makeSucceededFuture(1)
    }

    func answer(_ answer: SurveyAnswer, to node: String) { answers.append(answer) }

    func nodes() -> EventLoopFuture<[String]> {
        registry.map { eventLoop.makeSucceededFuture($0) } ?? eventLoop.makePromise().futureResult
    }

    func entry(of node: String) -> EventLoopFuture<NodeEntry?> { eventLoop.makeSucceededFuture(nil) }
    func presence(_ call: PresenceCall) -> EventLoopFuture<PresenceReply> {
        eventLoop.makeFailedFuture(PublishFailure.unavailable("none"))
    }
    func leave() -> EventLoopFuture<Void> { eventLoop.makeSucceededVoidFuture() }
}

/// A hub with one shard whose loop turns only when it is told to, and whose feed brings what a test says.
final class ScriptedNode {
    /// The wall clock, in milliseconds; a tenth of a second later once events are written.
    static let now: UInt64 = 1_763_720_000_000
    static let born = now - 3_600_000

    let loop = EmbeddedEventLoop()
    let counters = Counters()
    let broker: ScriptedBroker
    let hub: Hub
    let shard: Shard

    /// - Parameter isUp: the feed works, and has brought a reading.
    init(_ partitioning: Partitioning = .single, isUp: Bool = true) {
        let logger = Logger(label: "scripted") { _ in SwiftLogNoOpLogHandler() }
        broker = ScriptedBroker(eventLoop: loop, partitioning: partitioning)
        let status = NodeStatus()
        hub = Hub(
            eventLoop: loop, broker: broker, limits: .init(event: 1000), replayCacheBytes: 1 << 20, counters: counters,
            status: status,
            wallClock: { ScriptedNode.now }, logger: logger)
        shard = Shard(
            index: 0, eventLoop: loop, partitioning: partitioning, limits: Shard.Limits(Settings(), shardCount: 1),
            head: StreamHead(nodeID: "scripted"), counters: counters,
            quotas: StreamQuotas(perAddress: 0, perClient: 0), wallClock: { ScriptedNode.now + 100 })
        hub.start(
            shards: [Confined(shard, on: loop).receiver],
            reporter: NodeReporter(
                node: "scripted", version: "0", started: ScriptedNode.now, listen: "127.0.0.1:1", counters: counters,
                status: status, problem: { status.problem(now: $0) }))
        shard.start(hub: Confined(hub, on: loop))
        loop.run()
        guard isUp else { return }
        hub.receive(.up())
        tick()
    }

    deinit {
        shard.stop()
        hub.stop()
        try? loop.syncShutdownGracefully()
    }

    /// An id so many milliseconds after the start.
    static func id(_ milliseconds: UInt64) -> EventID { EventID(now + milliseconds, 0) }

    static func entry(_ id: EventID, after previous: EventID? = nil, _ data: String) -> LogEntry {
        LogEntry(id: id, previous: previous, event: Event(ByteBuffer(string: data)))
    }

    /// The feed brings a reading of the clock.
    func tick() {
        hub.receive(.clock(ClockReading(clock: broker.clock, born: broker.born)))
        loop.run()
    }

    /// The feed brings a message.
    func receive(_ payload: String, of target: Target) throws {
        try receive(payload.utf8, of: target)
        loop.run()
    }

    /// The feed brings a message, and the loop has not turned yet.
    func receive(_ payload: some Collection<UInt8>, of target: Target) throws {
        let number = try #require(broker.numbers[target])
        Array(payload).withUnsafeBytes { hub.receive(.message($0, for: number)) }
        hub.receive(.readComplete)
    }

    func receive(_ id: String, _ previous: String, of target: Target) throws {
        try receive("\u{1E}1 \(id) \(previous)\n\n\(id)", of: target)
    }

    func open(_ query: String, expiry: Stream.Expiry? = nil) throws -> (stream: Stream, channel: EmbeddedChannel) {
        let opened = try begin(query, expiry: expiry)
        loop.run()
        return opened
    }

    /// The same, and the loop's turn goes on.
    func begin(_ query: String, expiry: Stream.Expiry? = nil) throws -> (stream: Stream, channel: EmbeddedChannel) {
        let request = try Subscription(query: Query(query, fieldsMax: .max), headers: HTTPHeaders(), topicsMax: 100)
        let channel = EmbeddedChannel(loop: loop)
        let stream = Stream(
            host: shard.host, socket: StreamSocket(channel: channel, isPlain: true), wire: .plain,
            request: request, extraHeaders: [], address: nil, now: loop.now, expiry: expiry)
        try channel.pipeline.syncOperations.addHandler(stream)
        try channel.connect(to: SocketAddress(ipAddress: "192.0.2.1", port: 1)).wait()
        shard.open(stream, targets: request.targets)
        return (stream, channel)
    }

    /// What was written since the last call.
    func output(_ channel: EmbeddedChannel) throws -> String {
        loop.run()
        var text = ""
        while let bytes = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: bytes) }
        return text
    }
}
