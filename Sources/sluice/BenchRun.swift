// SPDX-License-Identifier: Apache-2.0
import Glibc
import Histogram
import NIOCore
import NIOPosix
import SluiceGateway

/// One run of the load generator: opens the streams, publishes, waits for what is on its way, and counts.
struct BenchRun {
    private let plan: BenchPlan
    private let groups: [Confined<BenchStreams>]
    private let publisherLoop: any EventLoop

    init(plan: BenchPlan) async throws {
        self.plan = plan
        let address = try SocketAddress.makeAddressResolvingHost(plan.url.host, port: plan.url.port)
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: plan.loops + 1).makeIterator().map { $0 }
        publisherLoop = loops[plan.loops]
        var groups: [Confined<BenchStreams>] = []
        for index in 0..<plan.loops {
            let numbers = plan.streams * index / plan.loops..<plan.streams * (index + 1) / plan.loops
            let loop = loops[index]
            groups.append(
                try await loop.submit {
                    let streams = BenchStreams(plan: plan, numbers: numbers, address: address, eventLoop: loop)
                    return Confined(streams, on: loop)
                }.get())
        }
        self.groups = groups
    }

    private func counts() async throws -> BenchStreams.Counts {
        var sum = BenchStreams.Counts()
        for group in groups { sum = try await sum + group.eventLoop.submit { group.value.counts }.get() }
        return sum
    }

    func run() async throws -> BenchReport {
        let before = try ProcessUsage(of: plan.processes)
        let begin = ContinuousClock.now
        try await progress({ "streams: \($0.open) of \(plan.streams) open" }, open)
        let connectSeconds = BenchRun.seconds(ContinuousClock.now - begin)
        let opened = try ProcessUsage(of: plan.processes)
        try await Task.sleep(nanoseconds: UInt64(max(0, plan.settle.nanoseconds)))
        let idle = try ProcessUsage(of: plan.processes)
        let start = try await counts()
        let ownStart = ProcessUsage.ownTime()
        let publishing = ContinuousClock.now
        let expected = start.open * plan.messages
        let outcome = try await progress(
            { "delivered: \($0.delivered) of \(expected)" },
            {
                // Without a stream there is nothing to measure.
                guard expected > 0 else { return BenchPump.Outcome() }
                let outcome = try await publish()
                if outcome.sent > 0 { try await wait(for: expected) }
                return outcome
            })
        let own = (ProcessUsage.ownTime() - ownStart) / max(1e-9, BenchRun.seconds(ContinuousClock.now - publishing))
        let after = try ProcessUsage(of: plan.processes)
        // What comes twice comes soon.
        if outcome.sent > 0 { try await Task.sleep(nanoseconds: 200_000_000) }
        var report = try await result(published: outcome.sent)
        report.connectSeconds = connectSeconds
        report.publisherLatest = outcome.latest
        report.ownLoad = outcome.sent > 0 ? own : 0
        if report.counts.lastReceived > outcome.start, outcome.sent > 0 {
            report.seconds = Double(report.counts.lastReceived - outcome.start) / 1e9
        }
        let deliveries = Double(max(1, report.counts.delivered))
        report.bytesPerDelivery = Double(report.counts.bytes - start.bytes) / deliveries
        if !plan.processes.isEmpty {
            let streams = Double(max(1, start.open))
            report.processes = BenchReport.Processes(
                bytesPerStream: Double(idle.memory - before.memory) / streams,
                connectMicroseconds: (opened.user + opened.system - before.user - before.system) * 1e6 / streams,
                userMicroseconds: (after.user - idle.user) * 1e6 / deliveries,
                systemMicroseconds: (after.system - idle.system) * 1e6 / deliveries, memory: after.memory)
        }
        return report
    }

    private func open() async throws {
        let openings = groups.map { group in
            group.eventLoop.flatSubmit { () -> EventLoopFuture<Void> in
                do { return try group.value.open() } catch { return group.eventLoop.makeFailedFuture(error) }
            }
        }
        for opening in openings { try await opening.get() }
    }

    private func publish() async throws -> BenchPump.Outcome {
        let loop = publisherLoop
        guard plan.messages > 0, let connecting = connection(on: loop) else { return BenchPump.Outcome() }
        let pump: Confined<BenchPump>
        do {
            pump = try await connecting.get()
            try await loop.flatSubmit { pump.value.run() }.get()
        } catch let error as PublishRefused {
            throw error
        } catch {
            throw PublishRefused(description: "can't publish: \(Console.reason(of: error))")
        }
        return try await loop.submit {
            pump.value.close()
            return pump.value.outcome
        }.get()
    }

    private func connection(on loop: any EventLoop) -> EventLoopFuture<Confined<BenchPump>>? {
        if case .none = plan.publisher { return nil }
        return loop.flatSubmit { [plan] in
            do {
                let publisher =
                    switch plan.publisher {
                    case .redis(let url, let channel, let isLogged):
                        try BenchRedisPublisher.connect(to: url, channel: channel, isLogged: isLogged, on: loop)
                    case .http(let url, let body):
                        try BenchHTTPPublisher.connect(to: url, body: body, token: plan.token, on: loop)
                    case .none: throw PublishRefused(description: "there is no publisher")
                    }
                return publisher.map { publisher in
                    Confined(BenchPump(plan: plan, publisher: publisher.value, eventLoop: loop), on: loop)
                }
            } catch { return loop.makeFailedFuture(error) }
        }
    }

    /// Until everything has come, or nothing more is to be expected.
    private func wait(for expected: Int) async throws {
        let end = NIODeadline.now() + plan.linger
        while NIODeadline.now() < end {
            if try await counts().delivered >= expected { return }
            try await Task.sleep(nanoseconds: 5_000_000)
        }
    }

    private func result(published: Int) async throws -> BenchReport {
        var report = BenchReport(
            streams: plan.streams, counts: try await counts(), connectSeconds: 0, published: published, lost: 0,
            seconds: 0,
            latencies: Histogram(lowestDiscernibleValue: 1000, highestTrackableValue: BenchStreams.latencyMax),
            bytesPerDelivery: 0, publisherLatest: 0, ownLoad: 0)
        for group in groups {
            let (lost, latencies) = try await group.eventLoop.submit {
                (group.value.lost(of: published), group.value.latencies)
            }.get()
            report.lost += lost
            report.latencies.add(latencies)
        }
        return report
    }

    /// Shows every second how far `body` has come.
    private func progress<Result: Sendable>(
        _ line: @escaping @Sendable (BenchStreams.Counts) -> String, _ body: () async throws -> Result
    ) async throws -> Result {
        let isTerminal = isatty(STDERR_FILENO) == 1
        let groups = groups
        let reporter = Task {
            while true {
                try await Task.sleep(nanoseconds: 1_000_000_000)
                var sum = BenchStreams.Counts()
                for group in groups { sum = try await sum + group.eventLoop.submit { group.value.counts }.get() }
                Console.note(isTerminal ? "\r\u{1B}[K\(line(sum))" : "\(line(sum))\n")
            }
        }
        defer {
            reporter.cancel()
            if isTerminal { Console.note("\r\u{1B}[K") }
        }
        return try await body()
    }

    private static func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    }
}
