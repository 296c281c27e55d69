// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix

/// Carries a plan out, phase by phase: open, settle, hold, publish, wait for the last arrival.
///
/// Cancelling the task ends the phase it is in; what was found so far is reported all the same.
package struct Run {
    private static let look = TimeAmount.milliseconds(50)
    /// After everything has arrived: time in which a duplicate would show itself.
    private static let aftermath = TimeAmount.milliseconds(200)
    /// Beside the streams' own: event loops, standard streams, the publisher.
    private static let otherFiles = 64

    private struct ServerReading {
        let time: ProcessProbe.CPUTime
        let memory: Int
    }

    private let plan: Plan
    private let fleets: Fleets
    private let marker = Marker()
    private let publisherLoop: any EventLoop
    private var publisher: NIOLoopBound<PacedPublisher>?
    private var progress: ProgressLine?

    /// - Parameter progress: nil shows none.
    package init(_ plan: Plan, progress: ProgressLine?) {
        self.plan = plan
        self.progress = progress
        fleets = Fleets(plan, marker: marker)
        publisherLoop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
    }

    /// - Throws: ``CannotRun`` or ``ClientError`` if it can't even begin.
    package mutating func run() async throws -> Report {
        try OpenFileLimit.raise(to: plan.streams + Run.otherFiles)
        let before = try reading()
        try await connectPublisher()
        let openSeconds = await open()
        let opened = try reading()
        await wait(plan.settle)
        let idle = try reading()
        await hold()
        let held = try reading()
        let ownBefore = ProcessProbe.ownCPUTime()
        let start = NIODeadline.now()
        await fleets.onEach { $0.tally.counts.bytes = 0 }
        if publisher != nil {
            await publish()
            await drain()
        }
        let ownSeconds = Run.seconds(since: start)
        let end = try reading()

        let counts = await fleets.counts()
        let published = await published()
        var server: Report.Server?
        if let before, let opened, let idle, let held, let end {
            server = Report.Server(
                opening: opened.time - before.time, holding: held.time - idle.time, publishing: end.time - held.time,
                memoryBefore: before.memory, memoryIdle: idle.memory, memoryEnd: end.memory)
        }
        return Report(
            streams: plan.streams, openSeconds: openSeconds, counts: counts, latency: await fleets.latency(),
            lost: publisher == nil ? 0 : await fleets.lost(published: published.published), publisher: published,
            seconds: max(0, Double((counts.lastArrival - start).nanoseconds) / 1e9),
            ownCPU: ProcessProbe.ownCPUTime() - ownBefore, ownSeconds: ownSeconds, server: server,
            isInterrupted: Task.isCancelled)
    }

    // MARK: Phases

    private mutating func open() async -> Double {
        let start = NIODeadline.now()
        await fleets.onEach { $0.open() }
        while true {
            let counts = await fleets.counts()
            let line = "opening: \(counts.opened) of \(plan.streams), \(counts.refused) refused"
            if counts.settled >= plan.streams || Task.isCancelled {
                await fleets.onEach { $0.stop() }
                progress?.finish(line)
                return Run.seconds(since: start)
            }
            progress?.update(line)
            await wait(Run.look)
        }
    }

    private mutating func hold() async {
        guard plan.hold > .zero else { return }
        let end = NIODeadline.now() + plan.hold
        while NIODeadline.now() < end, !Task.isCancelled {
            let counts = await fleets.counts()
            let left = (end - .now()).nanoseconds / 1_000_000_000
            progress?.update("holding: \(counts.opened - counts.closed) streams, \(left) s left")
            await wait(min(Run.look, end - .now()))
        }
        let counts = await fleets.counts()
        progress?.finish("held: \(counts.opened - counts.closed) streams")
    }

    private mutating func publish() async {
        await withPublisher { $0.run() }
        while true {
            if Task.isCancelled { await withPublisher { $0.stop() } }
            let reading = await published()
            if reading.isFinished { return }
            let counts = await fleets.counts()
            progress?.update("publishing: \(reading.sent) of \(plan.messages), \(counts.deliveries) deliveries")
            await wait(Run.look)
        }
    }

    /// Waits for all that was accepted, or until nothing more comes.
    private mutating func drain() async {
        let published = await published().published
        let expected = zip(await fleets.openedOfTopic(), published).reduce(0) { $0 + $1.0 * $1.1 }
        var seen = -1
        var giveUp = NIODeadline.now() + plan.linger
        while true {
            let deliveries = await fleets.counts().deliveries
            progress?.update("draining: \(deliveries) of \(expected) deliveries")
            if deliveries >= expected { break }
            if deliveries != seen {
                seen = deliveries
                giveUp = .now() + plan.linger
            }
            if NIODeadline.now() >= giveUp { break }
            await wait(Run.look)
        }
        await wait(Run.aftermath)
        progress?.finish(
            "published \(published.reduce(0, +)), \(await fleets.counts().deliveries) of \(expected) deliveries")
    }

    // MARK: The publisher, on its own loop

    private mutating func connectPublisher() async throws {
        let (plan, marker, loop) = (plan, marker, publisherLoop)
        guard let publish = try await plan.destination.connect(on: loop) else { return }
        publisher = try await loop.submit {
            let publisher = PacedPublisher(plan, marker: marker, publish: publish.value, on: loop)
            return NIOLoopBound(publisher, eventLoop: loop)
        }.get()
    }

    /// nil if there is no publisher; an event loop that runs for as long as the process does can't fail.
    @discardableResult
    private func withPublisher<Value: Sendable>(
        _ body: @escaping @Sendable (PacedPublisher) -> Value
    ) async -> Value? {
        guard let publisher else { return nil }
        return try? await publisherLoop.submit { body(publisher.value) }.get()
    }

    private func published() async -> PacedPublisher.Reading {
        await withPublisher { $0.reading } ?? PacedPublisher.Reading(published: [0])
    }

    // MARK: Time and the server's processes

    private static func seconds(since start: NIODeadline) -> Double {
        Double((NIODeadline.now() - start).nanoseconds) / 1e9
    }

    /// Not cut short by a cancellation.
    private func wait(_ time: TimeAmount) async {
        guard time > .zero else { return }
        try? await publisherLoop.scheduleTask(in: time) {}.futureResult.get()
    }

    private func reading() throws -> ServerReading? {
        guard let probe = plan.probe else { return nil }
        do {
            return ServerReading(time: try probe.cpuTime(), memory: try probe.memory())
        } catch { throw CannotRun(description: "--pid: \(error)") }
    }
}
