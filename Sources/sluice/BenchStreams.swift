// SPDX-License-Identifier: Apache-2.0
import Histogram
import NIOCore
import NIOPosix
import NIOSSL

/// The streams of one event loop: opens them, and counts what they receive. Confined to that loop.
final class BenchStreams {
    /// Latencies are kept in nanoseconds, to about a microsecond.
    static let latencyMax: UInt64 = 3_600_000_000_000

    /// What has happened so far.
    struct Counts: Sendable {
        var open = 0
        var refused = 0
        /// Ended while they were open.
        var closed = 0
        /// The reason for the first refusal.
        var refusal: String?
        var delivered = 0
        var duplicates = 0
        var late = 0
        var bytes = 0
        /// When the last message came, in nanoseconds of the monotonic clock.
        var lastReceived: UInt64 = 0

        static func + (left: Counts, right: Counts) -> Counts {
            Counts(
                open: left.open + right.open, refused: left.refused + right.refused, closed: left.closed + right.closed,
                refusal: left.refusal ?? right.refusal, delivered: left.delivered + right.delivered,
                duplicates: left.duplicates + right.duplicates, late: left.late + right.late,
                bytes: left.bytes + right.bytes, lastReceived: max(left.lastReceived, right.lastReceived))
        }
    }

    let plan: BenchPlan
    /// Received since the streams were opened.
    var bytes: Int {
        get { counts.bytes }
        set { counts.bytes = newValue }
    }
    private(set) var counts = Counts()
    private(set) var latencies = Histogram<UInt64>(
        lowestDiscernibleValue: 1000, highestTrackableValue: BenchStreams.latencyMax)

    private let eventLoop: any EventLoop
    private let numbers: Range<Int>
    private let requests: [ByteBuffer]
    private var streams: [BenchStream] = []
    private var bootstraps: [ClientBootstrap] = []
    private let address: SocketAddress
    private var started = 0
    private var opening = 0
    private let allOpened: EventLoopPromise<Void>

    /// - Parameter numbers: of this loop's streams, among all.
    init(plan: BenchPlan, numbers: Range<Int>, address: SocketAddress, eventLoop: any EventLoop) {
        self.plan = plan
        self.numbers = numbers
        self.address = address
        self.eventLoop = eventLoop
        allOpened = eventLoop.makePromise()
        requests = plan.url.target.contains("{i}") ? [] : [BenchStreams.request(plan, target: plan.url.target)]
        streams.reserveCapacity(numbers.count)
    }

    private static func request(_ plan: BenchPlan, target: String) -> ByteBuffer {
        let authorization = plan.token.map { "Authorization: Bearer \($0)\r\n" } ?? ""
        return ByteBuffer(
            string: """
                GET \(target) HTTP/1.1\r
                Host: \(plan.url.authority)\r
                Accept: text/event-stream\r
                User-Agent: sluice-bench\r
                \(authorization)\r

                """)
    }

    func request(number: Int) -> ByteBuffer {
        requests.first
            ?? BenchStreams.request(
                plan,
                target: plan.url.target.split(separator: "{i}", omittingEmptySubsequences: false)
                    .joined(separator: "\(number)"))
    }

    // MARK: Opening

    /// The future is fulfilled once each stream is open or refused.
    func open() throws -> EventLoopFuture<Void> {
        let tls = try plan.url.tlsContext()
        for source in 0..<max(1, plan.sourceAddresses) { bootstraps.append(try bootstrap(source: source, tls: tls)) }
        openMore()
        return allOpened.futureResult
    }

    private func bootstrap(source: Int, tls: NIOSSLContext?) throws -> ClientBootstrap {
        let own = NIOLoopBound(self, eventLoop: eventLoop)
        let url = plan.url
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(.seconds(30))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: plan.readBytes))
            // One recv per readiness: the second would only learn that there is no more.
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls { try channel.pipeline.syncOperations.addHandler(url.tlsHandler(tls)) }
                    try channel.pipeline.syncOperations.addHandler(own.value.makeStream())
                }
            }
        guard plan.sourceAddresses > 0 else { return bootstrap }
        let local = try SocketAddress(ipAddress: "127.0.0.\(2 + source)", port: 0)
        // IP_BIND_ADDRESS_NO_PORT: the port is chosen at connect, so each address has all of them for each destination.
        let option = ChannelOptions.Types.SocketOption(level: .ip, name: .init(rawValue: 24))
        return bootstrap.channelOption(option, value: 1).bind(to: local)
    }

    private func makeStream() -> BenchStream {
        let stream = BenchStream(group: self, number: numbers.lowerBound + streams.count)
        streams.append(stream)
        return stream
    }

    private func openMore() {
        while opening < plan.connectWindow, started < numbers.count {
            opening += 1
            let bootstrap = bootstraps[started % bootstraps.count]
            started += 1
            bootstrap.connect(to: address).assumeIsolated().whenFailure { [self] error in
                // Not at once: a connect that fails on the spot would call itself.
                eventLoop.assumeIsolated().execute { [self] in refused(Console.reason(of: error)) }
            }
        }
    }

    func opened() {
        counts.open += 1
        settled()
    }

    func refused(_ reason: String) {
        counts.refused += 1
        counts.refusal = counts.refusal ?? reason
        settled()
    }

    private func settled() {
        opening -= 1
        if counts.open + counts.closed + counts.refused == numbers.count { allOpened.succeed(()) }
        openMore()
    }

    func closed() {
        counts.open -= 1
        counts.closed += 1
    }

    // MARK: Receiving

    func received(_ verdict: BenchSequence.Verdict, sent: UInt64, now: UInt64) {
        counts.lastReceived = now
        switch verdict {
        case .inOrder, .skipped: break
        case .late: counts.late += 1
        case .duplicate:
            counts.duplicates += 1
            return
        }
        counts.delivered += 1
        latencies.record(min(now - min(sent, now), BenchStreams.latencyMax))
    }

    /// What never came, of `published` messages, to the streams that were opened.
    func lost(of published: Int) -> Int {
        // A stream that was refused has received nothing, and is counted as refused.
        streams.reduce(0) { $0 + ($1.wasOpened ? $1.sequence.lost(of: UInt32(published)) : 0) }
    }
}

@available(*, unavailable)
extension BenchStreams: Sendable {}
