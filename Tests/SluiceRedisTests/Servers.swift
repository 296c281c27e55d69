// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import NIOPosix
import SluiceCore
import SluiceRedis
import Synchronization
import TestSupport

/// A logger that says nothing.
let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

extension RedisServer {
    func endpoint(
        login: String = "", database: Int = 0, clientName: String = "sluice-test"
    ) throws -> RedisEndpoint {
        try RedisEndpoint(url: RedisURL("redis://\(login)127.0.0.1:\(port)/\(database)"), clientName: clientName)
    }
}

/// A connection that a test holds from outside of its event loop.
final class Client: Sendable {
    let eventLoop: any EventLoop
    private let box: NIOLoopBoundBox<RedisConnection?>
    private let reason = Mutex<String?>(nil)

    init(_ endpoint: RedisEndpoint) async throws {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.any()
        let box = NIOLoopBoundBox.makeEmptyBox(valueType: RedisConnection.self, eventLoop: eventLoop)
        self.eventLoop = eventLoop
        self.box = box
        try await eventLoop.flatSubmit {
            RedisConnection.connect(to: endpoint, on: eventLoop).assumeIsolated().map { connection in
                connection.onClose = { [weak self] reason in self?.reason.withLock { $0 = reason } }
                box.value = connection
            }.nonisolated()
        }.get()
    }

    deinit {
        let box = box
        eventLoop.execute { box.value?.close() }
    }

    /// Why the connection is closed; nil while it is open.
    var closeReason: String? { reason.withLock { $0 } }

    func send(_ command: RESPCommand, timeout: TimeAmount = .seconds(20)) async throws -> RESPValue {
        let box = box
        return try await eventLoop.flatSubmit { [eventLoop] in
            box.value?.send(command, timeout: timeout) ?? eventLoop.makeFailedFuture(RedisError.unavailable)
        }.get()
    }

    func send(_ words: String...) async throws -> RESPValue {
        try await send(RESPCommand(words))
    }

    /// Sends all in one turn of the loop.
    func pipeline(_ commands: [RESPCommand]) async throws -> [RESPValue] {
        let box = box
        return try await eventLoop.flatSubmit { [eventLoop] in
            let replies = commands.map {
                box.value?.send($0, timeout: .seconds(20)) ?? eventLoop.makeFailedFuture(RedisError.unavailable)
            }
            return EventLoopFuture.whenAllSucceed(replies, on: eventLoop)
        }.get()
    }

    func install() async throws {
        let box = box
        try await eventLoop.flatSubmit { [eventLoop] in
            box.value.map { SluiceFunction.install(on: $0, timeout: .seconds(20)) }
                ?? eventLoop.makeFailedFuture(RedisError.unavailable)
        }.get()
    }

    func close() async throws {
        let box = box
        try await eventLoop.submit { box.value?.close() }.get()
    }
}

/// A feed, and all that it has said.
final class FeedProbe: Sendable {
    enum Event: Equatable, Sendable {
        case message(String, [UInt8])
        case confirmed(String)
        case gone(String)
        case up
        case down
    }

    private final class Recorder: Sendable {
        let events = Mutex<[Event]>([])

        func note(_ event: Event) { events.withLock { $0.append(event) } }
    }

    private let eventLoop = MultiThreadedEventLoopGroup.singleton.any()
    private let recorder = Recorder()
    private let box: NIOLoopBoundBox<RedisFeed?>

    init(
        _ endpoint: RedisEndpoint, linger: TimeAmount = .seconds(60), silenceMax: TimeAmount = .seconds(5),
        logger: Logger = quiet, wanting channels: [String] = []
    ) async throws {
        let eventLoop = eventLoop
        let recorder = recorder
        let box = NIOLoopBoundBox.makeEmptyBox(valueType: RedisFeed.self, eventLoop: eventLoop)
        self.box = box
        try await eventLoop.submit {
            let feed = RedisFeed(
                from: .fixed(endpoint), on: eventLoop, logger: logger, linger: linger, silenceMax: silenceMax,
                permitted: { eventLoop.makeSucceededFuture($0) },
                tell: { notice in
                    switch notice {
                    case .message(let channel, let payload):
                        recorder.note(.message(String(decoding: channel, as: UTF8.self), Array(payload)))
                    case .readComplete: break
                    case .confirmed(let channel): recorder.note(.confirmed(channel))
                    case .gone(let channel): recorder.note(.gone(channel))
                    case .up: recorder.note(.up)
                    case .down: recorder.note(.down)
                    }
                })
            box.value = feed
            for channel in channels { _ = feed.want(channel) }
            feed.start()
        }.get()
    }

    var events: [Event] { recorder.events.withLock { $0 } }

    var messages: [[UInt8]] {
        events.compactMap { if case .message(_, let payload) = $0 { payload } else { nil } }
    }

    func count(_ event: Event) -> Int { events.count { $0 == event } }

    func want(_ channels: String...) async throws -> [Bool] {
        let box = box
        return try await eventLoop.submit { channels.map { box.value?.want($0) ?? false } }.get()
    }

    func release(_ channel: String) async throws {
        let box = box
        try await eventLoop.submit { box.value?.release(channel) }.get()
    }

    func reconnect() async throws {
        let box = box
        try await eventLoop.submit { box.value?.reconnect() }.get()
    }

    func stop() async throws {
        let box = box
        try await eventLoop.submit {
            box.value?.stop()
            box.value = nil
        }.get()
    }

    /// Wants a channel and waits until it is confirmed.
    func listen(to channel: String) async throws -> Bool {
        _ = try await want(channel)
        return await eventually { self.count(.confirmed(channel)) > 0 }
    }
}

/// Takes the login (a name, and a greeting that it does not know), and answers each command after it byte by byte.
final class SlowReplies: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let reply: [UInt8]
    private let interval: TimeAmount
    private var isLoggedIn = false

    private init(_ reply: String, interval: TimeAmount) {
        self.reply = Array(reply.utf8)
        self.interval = interval
    }

    static func bind(
        _ reply: String, interval: TimeAmount, onAccept: @escaping @Sendable () -> Void = {}
    ) async throws -> any Channel {
        try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    onAccept()
                    try channel.pipeline.syncOperations.addHandler(SlowReplies(reply, interval: interval))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let channel = context.channel
        guard isLoggedIn else {
            isLoggedIn = true
            return channel.writeAndFlush(ByteBuffer(string: "+OK\r\n-ERR unknown command\r\n"), promise: nil)
        }
        for (number, byte) in reply.enumerated() {
            context.eventLoop.scheduleTask(in: interval * Int64(number + 1)) {
                channel.writeAndFlush(ByteBuffer(bytes: [byte]), promise: nil)
            }
        }
    }
}
