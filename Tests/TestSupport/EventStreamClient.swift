// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

/// A client of event streams: one connection, or like an `EventSource` one after the other.
package final class EventStreamClient: Sendable {
    package struct Options: Sendable {
        package var transport = Transport.http11
        /// An HTTP/2 connection that it shares with others; nil: each has its own.
        package var connection: HTTP2Client?
        package var headers: [String: String] = [:]
        /// SO_RCVBUF.
        package var receiveBuffer: Int32?
        /// Comes back after `retry`, as browsers do: always, but after an answer that is not a stream.
        package var reconnects = false
        /// Keeps the body's bytes, for a test that looks at them.
        package var keepsBody = false

        package init() {}
    }

    package struct Snapshot: Sendable {
        /// Everything that was dispatched, the gateway's own events too.
        package var events: [ReceivedEvent] = []
        package var retries: [Int] = []
        package var comments = 0
        package var ignored: [String] = []
        package var body: [UInt8] = []
        /// The newest answer, without its body.
        package var answer: HTTPAnswer?
        package var openings = 0
        package var isOpen = false
        /// Connections that ended as HTTP says: the last chunk, or for HTTP/1.0 a goodbye.
        package var cleanEnds = 0
        /// All connections that ended.
        package var ends = 0
        /// No further connection will be made.
        package var isOver = false
        package var failure: String?
        /// The node that answered each connection.
        package var nodes: [String] = []

        /// Without the gateway's own.
        package var messages: [ReceivedEvent] {
            events.filter { !["checkpoint", "gap", "pause"].contains($0.type) }
        }
    }

    private final class Shared: Sendable {
        let state = Mutex(Snapshot())
        let isPaused = Atomic(false)
        let isClosed = Atomic(false)
    }

    private let shared = Shared()
    private let task: Task<Void, Never>

    package init(port: Int, _ target: String, options: Options = Options()) {
        let shared = shared
        task = Task { await EventStreamClient.run(port: port, target: target, options: options, shared: shared) }
    }

    /// As an `EventSource` does.
    package static func reconnecting(port: Int, _ target: String) -> EventStreamClient {
        var options = Options()
        options.reconnects = true
        return EventStreamClient(port: port, target, options: options)
    }

    /// Waits until the stream is open.
    package static func opened(
        port: Int, _ target: String, options: Options = Options()
    ) async throws -> EventStreamClient {
        let client = EventStreamClient(port: port, target, options: options)
        guard await client.waits(until: { $0.isOpen || $0.isOver }), client.now.isOpen else {
            throw RawSocket.Failure(description: "no stream from \(target): \(client.now)")
        }
        return client
    }

    deinit {
        close()
    }

    package var now: Snapshot { shared.state.withLock { $0 } }

    /// The data of what was published, in order.
    package var data: [String] { now.messages.map(\.data) }

    package func close() {
        shared.isClosed.store(true, ordering: .relaxed)
        task.cancel()
    }

    /// Stops reading; the connection stays.
    package func pause() { shared.isPaused.store(true, ordering: .relaxed) }

    package func resume() { shared.isPaused.store(false, ordering: .relaxed) }

    package func waits(within seconds: Double = 20, until condition: (Snapshot) -> Bool) async -> Bool {
        await eventually(within: seconds) { condition(self.now) }
    }

    /// Waits for a number of published events.
    package func receives(_ count: Int, within seconds: Double = 20) async -> Bool {
        await waits(within: seconds) { $0.events.count >= count && $0.messages.count >= count }
    }

    // MARK: The connection

    private static func run(port: Int, target: String, options: Options, shared: Shared) async {
        var lastEventID = ""
        repeat {
            let mayComeBack: Bool
            do {
                mayComeBack = try await connect(
                    port: port, target: target, options: options, shared: shared, lastEventID: &lastEventID)
            } catch {
                mayComeBack = true
                shared.state.withLock { $0.failure = "\(error)" }
            }
            let wait = shared.state.withLock { state in
                if state.isOpen { state.ends += 1 }
                state.isOpen = false
                return state.retries.last ?? 3000
            }
            guard options.reconnects, mayComeBack, !shared.isClosed.load(ordering: .relaxed) else { break }
            try? await Task.sleep(for: .milliseconds(wait))
        } while !shared.isClosed.load(ordering: .relaxed)
        shared.state.withLock { $0.isOver = true }
    }

    /// - Returns: whether an `EventSource` would come back.
    private static func connect(
        port: Int, target: String, options: Options, shared: Shared, lastEventID: inout String
    ) async throws -> Bool {
        var headers = options.headers
        headers["Accept"] = "text/event-stream"
        if !lastEventID.isEmpty { headers["Last-Event-ID"] = lastEventID }
        let source = try await Source(port: port, target: target, headers: headers, options: options)
        defer { source.close() }
        var reader = StreamReader(lastEventID: lastEventID)
        while !shared.isClosed.load(ordering: .relaxed) {
            if shared.isPaused.load(ordering: .relaxed) {
                try await Task.sleep(for: .milliseconds(5))
                continue
            }
            let bytes: [UInt8]
            var isEnd = false
            switch source.read(&reader) {
            case .nothing:
                try await Task.sleep(for: .milliseconds(2))
                continue
            case .end(let last):
                bytes = last
                isEnd = true
            case .bytes(let some): bytes = some
            case .broken(let reason):
                if let reason { throw RawSocket.Failure(description: reason) }
                return reader.answer == nil || reader.isStream
            }
            let goesOn = try shared.state.withLock {
                try reader.feed(bytes, into: &$0, keepsBody: options.keepsBody)
            }
            lastEventID = reader.parser.lastEventID
            if !goesOn { return reader.isStream }
            if isEnd {
                if reader.isStream, reader.endsWithConnection {
                    shared.state.withLock { $0.cleanEnds += 1 }
                    if reader.parser.isInsideBlock {
                        throw RawSocket.Failure(description: "the stream ended inside a block")
                    }
                }
                return reader.answer == nil || reader.isStream
            }
        }
        return false
    }
}

/// Where the bytes of one answer come from.
private enum Source {
    /// A connection of its own, on which the answer comes as text.
    case socket(any ByteSocket)
    /// One stream of a connection.
    case stream(HTTP2Client, Int, isOwner: Bool)

    enum Read {
        case bytes([UInt8])
        /// The last bytes, and a goodbye.
        case end([UInt8])
        /// - Parameter reason: nil if the connection was just gone.
        case broken(String?)
        case nothing
    }

    init(port: Int, target: String, headers: [String: String], options: EventStreamClient.Options) async throws {
        let transport = options.transport
        if transport.isHTTP2 || options.connection != nil {
            let client: HTTP2Client
            if let connection = options.connection {
                client = connection
            } else {
                var own = HTTP2Client.Options()
                own.transport = transport
                own.receiveBuffer = options.receiveBuffer
                client = try await HTTP2Client(port: port, own)
            }
            self = .stream(client, client.open("GET", target, headers: headers), isOwner: options.connection == nil)
        } else {
            let socket = try await transport.connect(port: port, receiveBuffer: options.receiveBuffer)
            var head = "GET \(target) HTTP/\(transport.version)\r\nHost: 127.0.0.1:\(port)\r\n"
            for (name, value) in headers { head += "\(name): \(value)\r\n" }
            try await socket.send(head + "\r\n")
            self = .socket(socket)
        }
    }

    func read(_ reader: inout StreamReader) -> Read {
        switch self {
        case .socket(let socket):
            switch socket.read() {
            case .bytes(let bytes): return .bytes(bytes)
            // What is left of a connection that broke is not whole, but HTTP/1.0 has no way to tell.
            case .end, .broken: return .end([])
            case .nothing: return .nothing
            }
        case .stream(let client, let stream, _):
            let isConnectionEnded = client.isEnded
            let exchange = client[stream]
            guard let answer = exchange.answer else {
                return exchange.reset != nil || isConnectionEnded
                    ? .broken(exchange.reset.map { "no answer, but a reset: \($0)" }) : .nothing
            }
            let bytes = client.take(stream)
            if reader.answer == nil { reader.begin(answer) }
            if exchange.isEnded { return .end(bytes) }
            if !bytes.isEmpty { return .bytes(bytes) }
            if let reset = exchange.reset { return .broken("the stream was reset: \(reset)") }
            return isConnectionEnded ? .broken(nil) : .nothing
        }
    }

    func close() {
        switch self {
        case .socket(let socket): socket.close()
        case .stream(let client, _, isOwner: true): client.close()
        case .stream(let client, let stream, isOwner: false):
            if !client[stream].isOver { client.reset(stream) }
        }
    }
}

/// One answer, taken in as it comes.
private struct StreamReader {
    private var head: [UInt8] = []
    private var chunks = ChunkedBody()
    /// What is left of a body whose length was said; nil for any other.
    private var left: Int?
    private var retriesSeen = 0
    private var commentsSeen = 0
    private var ignoredSeen = 0
    private var isAnnounced = false
    private(set) var answer: HTTPAnswer?
    private(set) var parser: ReferenceParser

    init(lastEventID: String) {
        parser = ReferenceParser(lastEventID: lastEventID)
    }

    var isChunked: Bool { answer?["Transfer-Encoding"] == "chunked" }

    /// As a stream of HTTP/1.0 does.
    var endsWithConnection: Bool { !isChunked && left == nil }

    var isStream: Bool {
        guard let answer, answer.status == 200, let type = answer["Content-Type"] else { return false }
        return type.split(separator: ";").first == "text/event-stream"
    }

    /// An answer whose head did not come as text.
    mutating func begin(_ answer: HTTPAnswer) {
        self.answer = answer
    }

    /// - Returns: false once the answer is complete, or is not a stream.
    mutating func feed(
        _ bytes: [UInt8], into state: inout EventStreamClient.Snapshot, keepsBody: Bool
    ) throws -> Bool {
        var bytes = bytes
        if answer == nil {
            head += bytes
            guard let range = head.firstRange(of: Array("\r\n\r\n".utf8)) else { return true }
            answer = try HTTPAnswer(head: head[..<range.lowerBound])
            bytes = Array(head[range.upperBound...])
        }
        if !isAnnounced, let answer {
            isAnnounced = true
            state.answer = answer
            guard isStream else { return false }
            state.isOpen = true
            state.openings += 1
            state.nodes.append(answer["Sluice-Node"] ?? "")
            left = answer["Content-Length"].flatMap { Int($0) }
        }
        return try take(bytes, into: &state, keepsBody: keepsBody)
    }

    private mutating func take(
        _ bytes: [UInt8], into state: inout EventStreamClient.Snapshot, keepsBody: Bool
    ) throws -> Bool {
        let body = isChunked ? try chunks.feed(bytes) : bytes
        if keepsBody { state.body += body }
        state.events += parser.feed(body)
        state.retries += parser.retries[retriesSeen...]
        state.comments += parser.comments - commentsSeen
        state.ignored += parser.ignored[ignoredSeen...]
        retriesSeen = parser.retries.count
        commentsSeen = parser.comments
        ignoredSeen = parser.ignored.count
        if let length = left { left = length - body.count }
        guard isChunked ? chunks.isComplete : left.map({ $0 <= 0 }) ?? false else { return true }
        state.cleanEnds += 1
        if parser.isInsideBlock { throw RawSocket.Failure(description: "the stream ended inside a block") }
        return false
    }
}
