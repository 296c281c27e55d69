// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHPACK
import Synchronization

/// One HTTP/2 connection, frame by frame: it does what RFC 9113 asks for unless a test has it do otherwise.
package final class HTTP2Client: Sendable {
    package struct Options: Sendable {
        package var transport = Transport.h2c
        /// Bytes that the node may send on each stream before it is given more.
        package var streamWindow = 65535
        /// SO_RCVBUF.
        package var receiveBuffer: Int32?
        package var answersPings = true
        package var acknowledgesSettings = true
        package var sendsPreface = true

        package init() {}
    }

    /// What has come of one request.
    package struct Exchange: Sendable {
        package var answer: HTTPAnswer?
        /// Answers with a status below 200 that came before.
        package var interim: [Int] = []
        /// What was not taken yet.
        package var body: [UInt8] = []
        package var received = 0
        /// The node has said that there is no more.
        package var isEnded = false
        package var reset: HTTP2Frame.Code?
        /// The node gets no more window for it.
        var isHeld = false
        var debt = 0
        package var upload: ArraySlice<UInt8> = []
        var hasUpload = false
        var sendWindow = 0

        package var isOver: Bool { isEnded || reset != nil }
    }

    package struct GoAway: Equatable, Sendable {
        package let lastStream: Int
        package let code: HTTP2Frame.Code?
    }

    private struct State {
        var exchanges: [Int: Exchange] = [:]
        var settings: [UInt16: UInt32] = [:]
        var goAways: [GoAway] = []
        var pongs = 0
        var isEnded = false
        var outgoing: [UInt8] = []
        var incoming: ArraySlice<UInt8> = []
        var decoder = HPACKDecoder(allocator: ByteBufferAllocator())
        var nextStream = 1
        var sendWindow = 65535
        /// Header block that goes on in the next frame, and of which stream.
        var block: [UInt8] = []
        var failure: String?
    }

    private static let connectionWindow = 1 << 26
    private static let maxConcurrentStreams: UInt16 = 0x3
    private static let initialWindowSize: UInt16 = 0x4
    private static let frameBytesMax = 16384

    private let shared = Shared()
    private let socket: any ByteSocket
    private let options: Options
    private let port: Int
    private let task: Task<Void, Never>

    private final class Shared: Sendable {
        let state = Mutex(State())
    }

    package init(port: Int, _ options: Options = Options()) async throws {
        self.port = port
        self.options = options
        let socket = try await options.transport.connect(port: port, receiveBuffer: options.receiveBuffer)
        self.socket = socket
        let shared = shared
        if options.sendsPreface {
            let settings = HTTP2Frame.settings([(HTTP2Client.initialWindowSize, UInt32(options.streamWindow))])
            let window = HTTP2Frame.windowUpdate(stream: 0, by: HTTP2Client.connectionWindow)
            shared.state.withLock { $0.outgoing = HTTP2Frame.preface + settings.bytes + window.bytes }
        }
        task = Task { await HTTP2Client.run(socket, options, shared) }
    }

    deinit {
        task.cancel()
        socket.close()
    }

    package func close() {
        task.cancel()
        socket.close()
    }

    // MARK: What is known

    package subscript(stream: Int) -> Exchange {
        shared.state.withLock { $0.exchanges[stream] ?? Exchange() }
    }

    /// The node's, by identifier (RFC 9113 §6.5.2); the newest value of each.
    package var settings: [UInt16: UInt32] { shared.state.withLock { $0.settings } }
    package var concurrentStreamsMax: Int? { settings[HTTP2Client.maxConcurrentStreams].map { Int($0) } }
    package var goAways: [GoAway] { shared.state.withLock { $0.goAways } }
    package var pongs: Int { shared.state.withLock { $0.pongs } }
    /// The connection is over, whoever has ended it.
    package var isEnded: Bool { shared.state.withLock { $0.isEnded } }
    package var failure: String? { shared.state.withLock { $0.failure } }

    // MARK: What is sent

    package func send(_ frames: HTTP2Frame...) {
        send(frames)
    }

    package func send(_ frames: [HTTP2Frame]) {
        send(frames.flatMap(\.bytes))
    }

    package func send(_ bytes: [UInt8]) {
        shared.state.withLock { $0.outgoing += bytes }
    }

    /// The number of a stream that was not used yet.
    package func newStream() -> Int {
        shared.state.withLock { state in
            defer { state.nextStream += 2 }
            return state.nextStream
        }
    }

    package func fields(
        _ method: String, _ target: String, _ headers: [String: String] = [:]
    ) -> [(String, String)] {
        [
            (":method", method), (":scheme", options.transport.isSecure ? "https" : "http"),
            (":authority", "127.0.0.1:\(port)"), (":path", target),
        ] + headers.map { ($0.key.lowercased(), $0.value) }
    }

    /// Begins a request.
    ///
    /// - Parameter body: sent as the node's windows allow.
    /// - Returns: its stream.
    package func open(
        _ method: String, _ target: String, headers: [String: String] = [:], body: [UInt8]? = nil
    ) -> Int {
        let stream = newStream()
        let frame = HTTP2Frame.headers(
            stream: stream, fields(method, target, headers), endStream: body == nil)
        shared.state.withLock { state in
            state.outgoing += frame.bytes
            var exchange = Exchange()
            exchange.upload = (body ?? [])[...]
            exchange.hasUpload = body != nil
            exchange.sendWindow = Int(state.settings[HTTP2Client.initialWindowSize] ?? 65535)
            state.exchanges[stream] = exchange
            HTTP2Client.upload(stream, &state)
        }
        return stream
    }

    /// A whole request.
    package func request(
        _ method: String, _ target: String, headers: [String: String] = [:], body: [UInt8]? = nil,
        within seconds: Double = 20
    ) async throws -> HTTPAnswer {
        let stream = open(method, target, headers: headers, body: body)
        var bytes: [UInt8] = []
        _ = await eventually(within: seconds) {
            let isOver = self[stream].isOver || self.isEnded
            bytes += self.take(stream)
            return isOver
        }
        guard var answer = self[stream].answer, self[stream].isEnded else {
            let reset = self[stream].reset.map { "\($0)" } ?? "none"
            throw RawSocket.Failure(
                description: "no whole answer to \(method) \(target.prefix(80)); reset: \(reset), goodbyes: \(goAways)")
        }
        answer.body = bytes
        return answer
    }

    package func reset(_ stream: Int, _ code: HTTP2Frame.Code = .cancel) {
        send(.reset(stream: stream, code))
    }

    /// What has come on a stream since the last time. The node may send as much again.
    package func take(_ stream: Int) -> [UInt8] {
        shared.state.withLock { state in
            guard var exchange = state.exchanges[stream] else { return [] }
            let bytes = exchange.body
            exchange.body = []
            exchange.debt += bytes.count
            if !exchange.isHeld, exchange.debt > 0 {
                if !exchange.isOver {
                    state.outgoing += HTTP2Frame.windowUpdate(stream: stream, by: exchange.debt).bytes
                }
                exchange.debt = 0
            }
            state.exchanges[stream] = exchange
            return bytes
        }
    }

    /// Whether the window of a stream is given back as its bytes are taken.
    package func hold(_ stream: Int, _ isHeld: Bool = true) {
        shared.state.withLock { $0.exchanges[stream]?.isHeld = isHeld }
    }

    // MARK: The connection

    private static func run(_ socket: any ByteSocket, _ options: Options, _ shared: Shared) async {
        while !Task.isCancelled {
            let outgoing = shared.state.withLock { state in
                defer { state.outgoing = [] }
                return state.outgoing
            }
            if !outgoing.isEmpty, (try? await socket.send(outgoing)) == nil { break }
            switch socket.read() {
            case .bytes(let bytes):
                shared.state.withLock { state in
                    state.incoming += bytes
                    while let frame = HTTP2Frame.take(from: &state.incoming) { received(frame, options, &state) }
                    state.incoming = ArraySlice(Array(state.incoming))
                }
            case .nothing: try? await Task.sleep(for: .milliseconds(outgoing.isEmpty ? 2 : 0))
            case .end, .broken:
                shared.state.withLock { $0.isEnded = true }
                return
            }
        }
        // What it said before it hung up, which is why nothing can be sent.
        while case .bytes(let bytes) = socket.read() {
            shared.state.withLock { state in
                state.incoming += bytes
                while let frame = HTTP2Frame.take(from: &state.incoming) { received(frame, options, &state) }
            }
        }
        shared.state.withLock { $0.isEnded = true }
    }

    private static func received(_ frame: HTTP2Frame, _ options: Options, _ state: inout State) {
        switch frame.kind {
        case .settings where !frame.flags.contains(.ack):
            for offset in stride(from: 0, to: frame.payload.count, by: 6) {
                let name = UInt16(frame.payload[offset]) << 8 | UInt16(frame.payload[offset + 1])
                state.settings[name] = frame.number(at: offset + 2)
            }
            if options.acknowledgesSettings { state.outgoing += HTTP2Frame(.settings, flags: .ack).bytes }
        case .ping where frame.flags.contains(.ack): state.pongs += 1
        case .ping:
            if options.answersPings { state.outgoing += HTTP2Frame(.ping, flags: .ack, frame.payload).bytes }
        case .goAway:
            state.goAways.append(
                GoAway(
                    lastStream: Int(frame.number(at: 0) & 0x7FFF_FFFF),
                    code: HTTP2Frame.Code(rawValue: frame.number(at: 4))))
        case .windowUpdate where frame.stream == 0:
            state.sendWindow += Int(frame.number(at: 0))
            for stream in state.exchanges.keys.sorted() { upload(stream, &state) }
        case .windowUpdate:
            state.exchanges[frame.stream]?.sendWindow += Int(frame.number(at: 0))
            upload(frame.stream, &state)
        case .rstStream: state.exchanges[frame.stream, default: Exchange()].reset = .init(rawValue: frame.number(at: 0))
        case .headers, .continuation:
            state.block += frame.payload
            if frame.flags.contains(.endHeaders) { receivedBlock(frame.stream, &state) }
            if frame.kind == .headers, frame.flags.contains(.endStream) {
                state.exchanges[frame.stream]?.isEnded = true
            }
        case .data:
            if !frame.payload.isEmpty {
                state.outgoing += HTTP2Frame.windowUpdate(stream: 0, by: frame.payload.count).bytes
            }
            state.exchanges[frame.stream, default: Exchange()].body += frame.payload
            state.exchanges[frame.stream]?.received += frame.payload.count
            if frame.flags.contains(.endStream) { state.exchanges[frame.stream]?.isEnded = true }
        case .settings, .priority, .pushPromise, nil: break
        }
    }

    private static func receivedBlock(_ stream: Int, _ state: inout State) {
        var bytes = ByteBuffer(bytes: state.block)
        state.block = []
        guard let fields = try? state.decoder.decodeHeaders(from: &bytes) else {
            state.failure = "a header block that can't be decoded"
            return
        }
        guard let status = fields.first(name: ":status").flatMap({ Int($0) }) else { return }
        if status < 200 {
            state.exchanges[stream, default: Exchange()].interim.append(status)
        } else {
            let regular = fields.filter { !$0.name.hasPrefix(":") }
            state.exchanges[stream, default: Exchange()].answer = HTTPAnswer(
                status: status, version: "HTTP/2", fields: regular.map { ($0.name, $0.value) })
        }
    }

    private static func upload(_ stream: Int, _ state: inout State) {
        guard var exchange = state.exchanges[stream], exchange.hasUpload, !exchange.isOver else { return }
        while exchange.hasUpload {
            let count = min(exchange.upload.count, exchange.sendWindow, state.sendWindow, frameBytesMax)
            if count <= 0, !exchange.upload.isEmpty { break }
            let part = exchange.upload.prefix(count)
            exchange.upload = exchange.upload.dropFirst(count)
            exchange.sendWindow -= count
            state.sendWindow -= count
            exchange.hasUpload = !exchange.upload.isEmpty
            state.outgoing +=
                HTTP2Frame(.data, flags: exchange.hasUpload ? [] : .endStream, stream: stream, Array(part)).bytes
        }
        state.exchanges[stream] = exchange
    }
}
