// SPDX-License-Identifier: Apache-2.0
import Histogram
import NIOCore
import NIOPosix
import SluiceGateway
import SluiceRedis

/// Carries a plan out, phase by phase: open, settle, hold, publish, wait for the last arrival.
///
/// Cancelling the task ends the phase it is in; what was found so far is reported all the same.
struct BenchRun {
    private static let look = TimeAmount.milliseconds(50)
    /// After everything has arrived: time in which a duplicate would show itself.
    private static let aftermath = TimeAmount.milliseconds(200)

    private let plan: BenchPlan
    private let fleets: BenchFleets
    private let marker = BenchMarker()
    private let publisherLoop: any EventLoop
    private var progress: BenchProgress

    init(_ plan: BenchPlan) {
        self.plan = plan
        fleets = BenchFleets(plan, marker: marker)
        publisherLoop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
        progress = BenchProgress(isShown: plan.showsProgress)
    }

    /// - Throws: ``Failure`` if it can't even begin.
    mutating func run() async throws -> BenchReport {
        let before = try reading()
        let publisher = try await connectPublisher()
        let openSeconds = await open()
        let opened = try reading()
        await wait(plan.settle)
        let idle = try reading()
        await hold()
        let held = try reading()
        let ownBefore = ProcessProbe.ownCPUTime()
        let start = NIODeadline.now()
        await fleets.forgetBytes()
        if let publisher {
            await publish(publisher)
            await drain(publisher)
        }
        let ownSeconds = Double((NIODeadline.now() - start).nanoseconds) / 1e9
        let end = try reading()

        let counts = await fleets.counts()
        let published = await publisher?.reading() ?? BenchPublisher.Reading(published: [0])
        var server: BenchReport.Server?
        if let before, let opened, let idle, let held, let end {
            server = BenchReport.Server(
                opening: opened.time - before.time, holding: held.time - idle.time, publishing: end.time - held.time,
                memoryBefore: before.memory, memoryIdle: idle.memory, memoryEnd: end.memory)
        }
        return BenchReport(
            streams: plan.streams, openSeconds: openSeconds, counts: counts, latency: await fleets.latency(),
            lost: publisher == nil ? 0 : await fleets.lost(published: published.published), publisher: published,
            seconds: max(0, Double((counts.lastArrival - start).nanoseconds) / 1e9),
            ownCPU: ProcessProbe.ownCPUTime() - ownBefore, ownSeconds: ownSeconds, server: server,
            isInterrupted: Task.isCancelled)
    }

    // MARK: Phases

    private mutating func open() async -> Double {
        let start = NIODeadline.now()
        await fleets.open()
        while true {
            let counts = await fleets.counts()
            let line = "opening: \(counts.opened) of \(plan.streams), \(counts.refused) refused"
            if counts.settled >= plan.streams || Task.isCancelled {
                await fleets.stop()
                progress.finish(line)
                return Double((NIODeadline.now() - start).nanoseconds) / 1e9
            }
            progress.show(line)
            await wait(BenchRun.look)
        }
    }

    private mutating func hold() async {
        let end = NIODeadline.now() + plan.hold
        while NIODeadline.now() < end, !Task.isCancelled {
            let counts = await fleets.counts()
            let left = (end - .now()).nanoseconds / 1_000_000_000
            progress.show("holding: \(counts.opened - counts.closed) streams, \(left) s left")
            await wait(min(BenchRun.look, end - .now()))
        }
        if plan.hold > .zero {
            let counts = await fleets.counts()
            progress.finish("held: \(counts.opened - counts.closed) streams")
        }
    }

    private mutating func publish(_ publisher: BenchPublisherHandle) async {
        await publisher.run()
        while true {
            if Task.isCancelled { await publisher.stop() }
            let reading = await publisher.reading()
            if reading.isFinished { return }
            let counts = await fleets.counts()
            progress.show("publishing: \(reading.sent) of \(plan.messages), \(counts.deliveries) deliveries")
            await wait(BenchRun.look)
        }
    }

    /// Waits for all that was accepted, or until nothing more comes.
    private mutating func drain(_ publisher: BenchPublisherHandle) async {
        let published = await publisher.reading().published
        let expected = zip(await fleets.openedOfTopic(), published).reduce(0) { $0 + $1.0 * $1.1 }
        var seen = -1
        var giveUp = NIODeadline.now() + plan.linger
        while true {
            let deliveries = await fleets.counts().deliveries
            progress.show("draining: \(deliveries) of \(expected) deliveries")
            if deliveries >= expected { break }
            if deliveries != seen {
                seen = deliveries
                giveUp = .now() + plan.linger
            }
            if NIODeadline.now() >= giveUp { break }
            await wait(BenchRun.look)
        }
        await wait(BenchRun.aftermath)
        progress.finish(
            "published \(published.reduce(0, +)), \(await fleets.counts().deliveries) of \(expected) deliveries")
    }

    // MARK: Help

    /// Not cut short by a cancellation.
    private func wait(_ time: TimeAmount) async {
        guard time > .zero else { return }
        try? await publisherLoop.scheduleTask(in: time) {}.futureResult.get()
    }

    private struct ServerReading {
        let time: ProcessProbe.CPUTime
        let memory: Int
    }

    private func reading() throws -> ServerReading? {
        guard !plan.probe.processes.isEmpty else { return nil }
        do {
            return ServerReading(time: try plan.probe.cpuTime(), memory: try plan.probe.memory())
        } catch { throw Failure("--pid: \(error)") }
    }

    private func connectPublisher() async throws -> BenchPublisherHandle? {
        let destination: NIOLoopBound<any BenchDestination>
        let loop = publisherLoop
        switch plan.destination {
        case .none: return nil
        case .redis(let endpoint, let channel, let isLogged):
            let connection = try await RedisDialer(locator: .fixed(endpoint))
                .connect(on: loop, installingFunction: isLogged)
            destination = try await loop.submit {
                NIOLoopBound(
                    RedisDestination(connection.value, channel: channel, isLogged: isLogged), eventLoop: loop)
            }.get()
        case .http(let dialer, let target, let body, let headers):
            do {
                destination = try await WebConnection.connect(dialer, on: loop).map { connection in
                    NIOLoopBound(
                        HTTPDestination(
                            connection.value, host: dialer.address.hostHeader, target: target, body: body,
                            headers: headers),
                        eventLoop: loop)
                }.get()
            } catch { throw Failure("can't connect to \(dialer.address)", error) }
        }
        return BenchPublisherHandle(plan, marker: marker, destination: destination, on: loop)
    }
}
