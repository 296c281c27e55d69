// SPDX-License-Identifier: Apache-2.0
import Glibc
import Histogram
import NIOCore
import NIOPosix
import SluiceGateway

/// The streams of one event loop: opens them, a bounded number at a time, and counts what they see.
///
/// Confined to its event loop.
final class BenchFleet {
    /// What a stream keeps for reading. A larger read goes past it, into `scratch`.
    private static let readBufferBytes = 512
    private static let readBufferBytesTLS = 16 * 1024
    private static let openTimeout = TimeAmount.seconds(30)
    /// linux/in.h: the port is chosen when the destination is known, so that each source address has all ports.
    private static let bindAddressNoPort = NIOBSDSocket.Option(rawValue: 24)

    let marker: BenchMarker
    let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 * 1024, alignment: 16)
    let readsDirectly: Bool
    var counts = BenchCounts()
    /// From the moment before a message goes to the publisher's socket to the read that brings it, in nanoseconds.
    private(set) var latency = BenchFleet.emptyLatency

    /// Up to an hour, to three digits.
    static var emptyLatency: Histogram<UInt64> {
        Histogram(highestTrackableValue: 3_600_000_000_000, numberOfSignificantValueDigits: .three)
    }

    private let plan: BenchPlan
    private let eventLoop: any EventLoop
    /// The numbers of this fleet's streams.
    private let numbers: StrideTo<Int>
    private var toOpen: StrideTo<Int>.Iterator
    private let window: Int
    private var opening = 0
    private var streams: [BenchStream] = []
    private var isStopped = false

    /// - Parameter first: of every `of` streams it has one.
    init(_ plan: BenchPlan, marker: BenchMarker, first: Int, of fleets: Int, on eventLoop: any EventLoop) {
        self.plan = plan
        self.marker = marker
        self.eventLoop = eventLoop
        numbers = stride(from: first, to: plan.streams, by: fleets)
        toOpen = numbers.makeIterator()
        window = max(1, plan.connectWindow / fleets)
        readsDirectly = !plan.servers.contains { $0.dialer.address.usesTLS }
    }

    deinit {
        scratch.deallocate()
    }

    func open() {
        while !isStopped, opening < window, let number = toOpen.next() { open(number) }
    }

    /// Opens no more.
    func stop() {
        isStopped = true
    }

    private func open(_ number: Int) {
        opening += 1
        let server = plan.servers[number % plan.servers.count]
        let topic = number % plan.topics
        let stream = BenchStream(fleet: self, topic: topic, request: request(to: server, number: number, topic: topic))
        streams.append(stream)
        stream.expectOpening(within: BenchFleet.openTimeout, on: eventLoop)
        let bound = NIOLoopBound(stream, eventLoop: eventLoop)
        let readsAtATime: UInt = readsDirectly ? 1 : 4
        var bootstrap = server.dialer.bootstrap(on: eventLoop) { channel in
            try channel.pipeline.syncOperations.addHandler(bound.value)
        }
        .channelOption(
            .recvAllocator,
            value: FixedSizeRecvByteBufferAllocator(
                capacity: readsDirectly ? BenchFleet.readBufferBytes : BenchFleet.readBufferBytesTLS)
        )
        .channelOption(.maxMessagesPerRead, value: readsAtATime)
        if plan.sourceAddresses > 1, let source = source(number) {
            bootstrap = bootstrap.channelOption(
                ChannelOptions.Types.SocketOption(level: .ip, name: BenchFleet.bindAddressNoPort), value: 1
            ).bind(to: source)
        }
        bootstrap.connect(to: server.address).whenFailure { bound.value.fail(NetworkError.reason($0)) }
    }

    private func source(_ number: Int) -> SocketAddress? {
        try? SocketAddress(ipAddress: "127.0.0.\(2 + number % plan.sourceAddresses)", port: 0)
    }

    private func request(to server: BenchPlan.Server, number: Int, topic: Int) -> String {
        let target = server.target.text(stream: number, topic: topic)
        var text = "GET \(target) HTTP/1.1\r\nHost: \(server.dialer.address.hostHeader)\r\n"
        text += "Accept: text/event-stream\r\nCache-Control: no-cache\r\nUser-Agent: sluice-bench\r\n"
        for header in plan.headers { text += "\(header.name): \(header.value)\r\n" }
        return text + "\r\n"
    }

    // MARK: What the streams report

    func opened() {
        counts.opened += 1
        settled()
    }

    func refused(_ reason: String) {
        counts.refused += 1
        if counts.firstProblem == nil { counts.firstProblem = reason }
        settled()
    }

    func closed(_ reason: String) {
        counts.closed += 1
        if counts.firstProblem == nil { counts.firstProblem = reason }
    }

    private func settled() {
        opening -= 1
        // Not in this call: a refusal may come while the stream is still being opened.
        eventLoop.assumeIsolated().execute { self.open() }
    }

    @inline(__always)
    func delivered(_ verdict: SequenceChecker.Verdict, latency: UInt64, now: NIODeadline) {
        switch verdict {
        case .inOrder: break
        case .outOfOrder: counts.outOfOrder += 1
        case .duplicate:
            counts.duplicates += 1
            return
        }
        counts.deliveries += 1
        counts.lastArrival = now
        self.latency.record(latency)
    }

    /// What each topic's streams should have had and did not.
    func lost(published: [Int]) -> Int {
        streams.reduce(0) { sum, stream in
            stream.wasOpened ? sum + max(0, published[stream.topic] - Int(stream.checker.received)) : sum
        }
    }

    /// How many streams of each topic were opened.
    func openedOfTopic() -> [Int] {
        var result = [Int](repeating: 0, count: plan.topics)
        for stream in streams where stream.wasOpened { result[stream.topic] += 1 }
        return result
    }
}

@available(*, unavailable)
extension BenchFleet: Sendable {}
