// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceWeb

/// Keeps one subscription alive, like a browser's `EventSource`, and hands on what happens to it.
///
/// Confined to its event loop. While nobody takes what was handed on it reads no more, which is what holds back a server
/// that is faster than the reader.
final class StreamReader {
    typealias Producer = NIOThrowingAsyncSequenceProducer<
        EventSourceUpdate, any Error, NIOAsyncSequenceProducerBackPressureStrategies.HighLowWatermark, Demand
    >

    struct Plan: Sendable {
        var dialer: WebDialer
        var headers: [HeaderField]
        var lastEventID: String
        /// How long nothing may come; zero: for ever.
        var silence: TimeAmount
    }

    /// What the sequence's reader wants, which is told on any thread.
    struct Demand: NIOAsyncSequenceProducerDelegate {
        fileprivate let reader: NIOLoopBoundBox<StreamReader>

        fileprivate let eventLoop: any EventLoop

        func produceMore() {
            eventLoop.execute { reader.value.resume() }
        }

        func didTerminate() {
            eventLoop.execute { reader.value.finish(.success(())) }
        }
    }

    /// A node that was stopped, or is behind a cable that was pulled out, closes nothing.
    private struct Silence: Error, CustomStringConvertible {
        let time: TimeAmount
        var description: String { "nothing came for \(time.nanoseconds / 1_000_000_000) s" }
    }

    private enum Phase {
        case waiting
        case reading
        /// The answer is final and not a stream; its body is collected for the message.
        case failing(HTTPResponseHead, ByteBuffer)
        case done
    }

    /// An error's body is read up to here.
    private static let problemBytesMax = 64 * 1024
    /// How many updates may wait for the sequence's reader before no more is read, and how few before it goes on.
    private static let waitingMax = 256
    private static let waitingMin = 64

    private let plan: Plan
    private let eventLoop: any EventLoop
    private var source: Producer.Source?
    private var state: EventSourceState
    private var parser: EventStreamParser
    private var phase = Phase.waiting
    private var connection: StreamConnection?
    private var isPaused = false
    /// Until the next connection.
    private var pause: Scheduled<Void>?

    /// Begins to connect. The sequence ends after 204, and fails with ``ClientError`` on an answer that ends an `EventSource`.
    static func updates(_ plan: Plan, on eventLoop: any EventLoop) -> Producer {
        let reader = NIOLoopBoundBox.makeBoxSendingValue(StreamReader(plan, on: eventLoop), eventLoop: eventLoop)
        let made = Producer.makeSequence(
            backPressureStrategy: .init(lowWatermark: waitingMin, highWatermark: waitingMax), finishOnDeinit: false,
            delegate: Demand(reader: reader, eventLoop: eventLoop))
        eventLoop.execute {
            reader.value.source = made.source
            reader.value.connect()
        }
        return made.sequence
    }

    private init(_ plan: Plan, on eventLoop: any EventLoop) {
        self.plan = plan
        self.eventLoop = eventLoop
        state = EventSourceState(lastEventID: plan.lastEventID, silence: plan.silence)
        parser = EventStreamParser(lastEventID: plan.lastEventID)
    }

    // MARK: Connections

    private func connect() {
        if case .done = phase { return }
        phase = .waiting
        parser.end()
        let connection = StreamConnection(
            request: request, onHead: { self.received($0) }, onBody: { self.received($0) }, onEnd: { self.ended($0) })
        self.connection = connection
        isPaused = false
        connection.connect(plan.dialer, on: eventLoop)
        state.heard(now: .now())
        watch(connection)
    }

    /// Gives the connection up once nothing has come for too long, although it was read.
    private func watch(_ connection: StreamConnection) {
        guard let time = state.silentAt else { return }
        eventLoop.assumeIsolated().scheduleTask(deadline: time) { [self] in
            guard self.connection === connection else { return }
            if isPaused { state.heard(now: .now()) }
            if let time = state.silentAt, time > .now() { return watch(connection) }
            connection.close(.lost(Silence(time: plan.silence)))
        }
    }

    private var request: HTTPRequestHead {
        var headers: HTTPHeaders = [
            "Host": plan.dialer.address.hostHeader, "Accept": "text/event-stream", "Cache-Control": "no-cache",
            "User-Agent": "sluice",
        ]
        for header in plan.headers { headers.replaceOrAdd(name: header.name, value: header.value) }
        if !state.lastEventID.isEmpty { headers.replaceOrAdd(name: "Last-Event-ID", value: state.lastEventID) }
        return HTTPRequestHead(version: .http1_1, method: .GET, uri: plan.dialer.address.target, headers: headers)
    }

    private func received(_ head: HTTPResponseHead) {
        state.heard(now: .now())
        guard case .waiting = phase, head.status.code >= 200 else { return }
        switch state.response(head.status, contentType: head.headers.first(name: "content-type")) {
        case .read:
            phase = .reading
            handOn(.opened(node: head.headers.first(name: "sluice-node"), endsOutage: state.opened()))
        case .stop: finish(.success(()))
        case .fail: phase = .failing(head, ByteBuffer())
        }
    }

    private func received(_ bytes: ByteBuffer) {
        state.heard(now: .now())
        switch phase {
        case .reading:
            do {
                try parser.read(bytes) { received($0) }
            } catch {
                return finish(.failure(ClientError("the stream has \(error)")))
            }
            state.reached(parser.lastEventID)
        case .failing(let head, var body):
            guard body.readableBytes < StreamReader.problemBytesMax else { return fail(head, body) }
            body.writeImmutableBuffer(bytes)
            phase = .failing(head, body)
        case .waiting, .done: break
        }
    }

    private func received(_ output: EventStreamParser.Output) {
        switch output {
        case .retry(let milliseconds):
            state.received(retryMilliseconds: milliseconds)
            handOn(.retry(milliseconds: milliseconds))
        case .comment(let text): handOn(.comment(text))
        case .event(let event): handOn(.event(event))
        }
    }

    private func ended(_ end: StreamConnection.End) {
        connection = nil
        switch phase {
        case .done: return
        case .failing(let head, let body): return fail(head, body)
        case .waiting, .reading: break
        }
        var failure: String?
        if case .lost(let error) = end { failure = NetworkError.reason(error) }
        let (wait, isNews) = state.disconnected(isFailure: failure != nil)
        phase = .waiting
        handOn(.disconnected(failure: failure, wait: Duration(wait), isNews: isNews))
        pause = eventLoop.assumeIsolated().scheduleTask(in: wait) { self.connect() }
    }

    private func fail(_ head: HTTPResponseHead, _ body: ByteBuffer) {
        if head.status == .ok {
            let type = head.headers.first(name: "content-type") ?? "no Content-Type"
            return finish(.failure(ClientError("\(plan.dialer.address) is not an event stream: \(type)")))
        }
        var message = "the server answered \(ServerMessage(status: head.status, body: String(buffer: body)))"
        if let location = head.headers.first(name: "location") { message += "; it points to \(location)" }
        finish(.failure(ClientError(message)))
    }

    // MARK: The sequence's reader

    private func handOn(_ update: EventSourceUpdate) {
        guard source?.yield(contentsOf: CollectionOfOne(update)) == .stopProducing else { return }
        isPaused = true
        connection?.setReading(false)
    }

    private func resume() {
        guard isPaused else { return }
        isPaused = false
        state.heard(now: .now())
        connection?.setReading(true)
    }

    private func finish(_ result: Result<Void, any Error>) {
        if case .done = phase { return }
        phase = .done
        switch result {
        case .success: source?.finish()
        case .failure(let error): source?.finish(error)
        }
        source = nil
        pause?.cancel()
        connection?.close()
    }
}

@available(*, unavailable)
extension StreamReader: Sendable {}
