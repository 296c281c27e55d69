// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore
import SluiceGateway

/// Keeps one subscription alive, like a browser's `EventSource`, and hands its events to a printer.
///
/// Confined to its event loop; printing blocks it, which is what holds back a server that is faster than the reader.
final class Subscriber {
    struct Plan: Sendable {
        var dialer: WebDialer
        var headers: [HeaderArgument]
        var lastEventID: String
        /// How long nothing may come; zero: for ever.
        var silence: TimeAmount
        var isJSON: Bool
        var isVerbose: Bool
        /// nil: for ever.
        var count: Int?
    }

    /// An error's body is read up to here.
    private static let problemBytesMax = 64 * 1024
    /// Events of the gateway itself: they don't count as events.
    private static let ownTypes: Set<String> = ["checkpoint", "gap", "pause"]

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

    private let plan: Plan
    private let eventLoop: any EventLoop
    private let printer: EventPrinter
    private let promise: EventLoopPromise<Void>
    private var state: EventSourceState
    private var parser: EventStreamParser
    private var phase = Phase.waiting
    private var connection: StreamConnection?
    private var printed = 0

    /// Fails with ``Failure`` on an answer that ends an `EventSource`; succeeds on 204 and after `count` events.
    static func run(_ plan: Plan, on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        eventLoop.flatSubmit {
            let promise = eventLoop.makePromise(of: Void.self)
            Subscriber(plan, on: eventLoop, promise: promise).connect()
            return promise.futureResult
        }
    }

    private init(_ plan: Plan, on eventLoop: any EventLoop, promise: EventLoopPromise<Void>) {
        self.plan = plan
        self.eventLoop = eventLoop
        self.promise = promise
        printer = EventPrinter(isJSON: plan.isJSON, isTerminal: StandardStream.output.isTerminal)
        state = EventSourceState(lastEventID: plan.lastEventID, silence: plan.silence)
        parser = EventStreamParser(lastEventID: plan.lastEventID)
    }

    // MARK: Connections

    private func connect() {
        phase = .waiting
        parser.end()
        let connection = StreamConnection(
            request: request, onHead: { self.received($0) }, onBody: { self.received($0) }, onEnd: { self.ended($0) })
        self.connection = connection
        connection.connect(plan.dialer, on: eventLoop)
        state.heard(now: .now())
        watch(connection)
    }

    /// Gives the connection up once nothing has come for too long.
    private func watch(_ connection: StreamConnection) {
        guard let time = state.silentAt else { return }
        eventLoop.assumeIsolated().scheduleTask(deadline: time) { [self] in
            guard self.connection === connection, let time = state.silentAt else { return }
            if time > .now() { return watch(connection) }
            connection.giveUp(Silence(time: plan.silence))
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
            let isBack = state.opened()
            if isBack || plan.isVerbose {
                let node = head.headers.first(name: "sluice-node").map { " to node \($0)" } ?? ""
                StandardStream.note("connected\(node)")
            }
        case .stop:
            if plan.isVerbose { StandardStream.note("204: the server has nothing more for us") }
            finish(.success(()))
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
                return finish(.failure(Failure("the stream has \(error)")))
            }
            state.reached(parser.lastEventID)
        case .failing(let head, var body):
            guard body.readableBytes < Subscriber.problemBytesMax else { return fail(head, body) }
            body.writeImmutableBuffer(bytes)
            phase = .failing(head, body)
        case .waiting, .done: break
        }
    }

    private func ended(_ end: StreamConnection.End) {
        connection = nil
        switch phase {
        case .done: return
        case .failing(let head, let body): return fail(head, body)
        case .waiting, .reading: break
        }
        var failure: (any Error)?
        if case .lost(let error) = end { failure = error }
        let (wait, isNews) = state.disconnected(isFailure: failure != nil)
        let again = "again in \(wait.nanoseconds / 1_000_000) ms"
        if let failure, isNews {
            StandardStream.note("\(plan.dialer.address): \(NetworkError.reason(failure)); \(again)")
        } else if plan.isVerbose {
            StandardStream.note("the stream ended; \(again)")
        }
        phase = .waiting
        eventLoop.assumeIsolated().scheduleTask(in: wait) { self.connect() }
    }

    private func fail(_ head: HTTPResponseHead, _ body: ByteBuffer) {
        if head.status == .ok {
            let type = head.headers.first(name: "content-type") ?? "no Content-Type"
            return finish(.failure(Failure("\(plan.dialer.address) is not an event stream: \(type)")))
        }
        var message = "the server answered \(ServerMessage(status: head.status, body: String(buffer: body)))"
        if let location = head.headers.first(name: "location") { message += "; it points to \(location)" }
        finish(.failure(Failure(message)))
    }

    private func finish(_ result: Result<Void, any Error>) {
        if case .done = phase { return }
        phase = .done
        promise.completeWith(result)
        connection?.close()
    }

    // MARK: Events

    private func received(_ output: EventStreamParser.Output) {
        if case .done = phase { return }
        switch output {
        case .retry(let milliseconds):
            state.received(retryMilliseconds: milliseconds)
            if plan.isVerbose { StandardStream.note("retry \(milliseconds) ms") }
        case .comment(let text):
            if plan.isVerbose { StandardStream.note("comment\(text.isEmpty ? "" : ":")\(text)") }
        case .event(let event): received(event)
        }
    }

    private func received(_ event: EventStreamParser.Event) {
        if event.type == "gap" { StandardStream.note("events were lost: \(event.data)") }
        if event.type == "checkpoint", !plan.isVerbose { return }
        do { try StandardStream.output.write(printer.text(event)) } catch {
            // As `head` does when it has enough.
            return finish(.success(()))
        }
        if !Subscriber.ownTypes.contains(event.type) { printed += 1 }
        if let count = plan.count, printed >= count { finish(.success(())) }
    }
}

@available(*, unavailable)
extension Subscriber: Sendable {}
