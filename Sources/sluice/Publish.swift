// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import NIOCore
import SluiceCore
import SluiceRedis

/// `sluice publish`: one event, or one for each line of standard input.
struct Publish: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Publish an event, or every line of standard input.",
        discussion: """
            The event goes to a node by HTTP (--url, the default), or to Redis itself (--redis), where every node \
            takes it from. For each event a receipt is printed: where it went, its id ("-" if it has none), and how \
            many nodes heard it (0: nobody is listening).

            Examples:
              sluice publish --topic news 'Hello, world'
              sluice publish --client alice --event price '{"eur": 4}'
              sluice publish --redis redis://127.0.0.1:6379 --topic news 'through Redis'
              make 2>&1 | sluice publish --topic build.42 --end -

            Exit code: 0 if all was published, 1 otherwise, 64 for bad usage.
            """)

    @Option(help: ArgumentHelp("Publish to the streams of a topic.", valueName: "topic"))
    var topic: String?

    @Option(help: ArgumentHelp("Publish to the streams of one client.", valueName: "client"))
    var client: String?

    @Flag(help: "Publish to every stream on every node.")
    var all = false

    @Option(help: ArgumentHelp("The event's type; without it browsers call it \"message\".", valueName: "type"))
    var event: String?

    @Option(help: ArgumentHelp("Conflation key: to a slow reader a later event replaces it.", valueName: "key"))
    var key: String?

    @Flag(help: "The event closes its topic. With \"-\", an empty event at the input's end closes it.")
    var end = false

    @Flag(help: "Live only: without an id, kept nowhere.")
    var noLog = false

    @Option(help: ArgumentHelp("How many events the log keeps.", valueName: "n"))
    var maxlen: Int?

    @Option(help: ArgumentHelp("How long the log lives after its newest event.", valueName: "seconds"))
    var ttl: Int?

    @Option(
        help: ArgumentHelp(
            "The same token within 5 minutes publishes once only. With \"-\", line N uses token:N.", valueName: "token")
    )
    var once: String?

    @Option(
        help: ArgumentHelp(
            "Publish through Redis: redis://[user:password@]host[:port][/db] or rediss://….", valueName: "url"))
    var redis: String?

    @Option(help: ArgumentHelp("Publish through a node. (default: http://127.0.0.1:8080/)", valueName: "url"))
    var url: HTTPURL?

    @Option(help: ArgumentHelp("Of every Redis name; with --redis.", valueName: "name"))
    var prefix = "sluice"

    @Flag(help: "Send a bare PUBLISH: live only, no type; with --redis.")
    var plain = false

    @Option(help: ArgumentHelp("Sent as Authorization: Bearer.", valueName: "jwt"))
    var token: String?

    @Argument(help: ArgumentHelp("The event's data; \"-\" publishes each line of standard input as it comes."))
    var data: String

    func validate() throws {
        _ = try template()
        if redis != nil, url != nil { throw ValidationError("give --redis or --url, not both") }
        if redis == nil, plain { throw ValidationError("--plain needs --redis") }
        if redis != nil, token != nil { throw ValidationError("--token goes with --url") }
        if let redis {
            do throws(RedisURL.Malformed) { _ = try RedisURL(redis) } catch {
                throw ValidationError("--redis \(error)")
            }
        }
        if let problem = RedisNames.problem(prefix: prefix) { throw ValidationError("--prefix \(problem)") }
        let hasOptions = event != nil || key != nil || once != nil || maxlen != nil || ttl != nil || end || noLog
        if plain, hasOptions {
            throw ValidationError("--plain sends the data alone: no other option of the event goes with it")
        }
        if end, noLog { throw ValidationError("--end needs the log") }
    }

    /// The event without its data.
    private func template() throws -> OutgoingEvent {
        var event = OutgoingEvent(target: try target())
        if let type = self.event {
            if let problem = EventLabel.problem(type: type) { throw ValidationError("--event \(problem)") }
            event.type = type
        }
        if let key, let problem = EventLabel.problem(key: key) { throw ValidationError("--key \(problem)") }
        if let once, let problem = EventLabel.problem(key: once) { throw ValidationError("--once \(problem)") }
        if let maxlen, !Publication.maxlenRange.contains(maxlen) {
            throw ValidationError("--maxlen takes a number from 1 to \(Publication.maxlenRange.upperBound)")
        }
        if let ttl, !Publication.ttlRange.contains(ttl) {
            throw ValidationError("--ttl takes seconds from 1 to \(Publication.ttlRange.upperBound)")
        }
        event.key = key
        event.once = once
        event.maxlen = maxlen
        event.ttl = ttl
        event.isLogged = !noLog
        return event
    }

    private func target() throws -> Target {
        do throws(InvalidName) {
            switch (topic, client, all) {
            case (let topic?, nil, false): return try .topic(topic)
            case (nil, let client?, false): return try .client(client)
            case (nil, nil, true): return .all
            default: break
            }
        } catch { throw ValidationError("the \(topic == nil ? "client" : "topic") \(error)") }
        throw ValidationError("give one of --topic, --client and --all")
    }

    func run() async throws {
        do {
            let publisher = try await publisher()
            var event = try template()
            if data == "-" {
                try await publishLines(event, through: publisher)
            } else {
                event.ends = end
                event.data = ByteBuffer(string: data)
                try await publish([event], through: publisher)
            }
        } catch is Console.OutputClosed {
            throw ExitCode.failure
        } catch {
            Console.complain(Console.reason(of: error))
            throw ExitCode.failure
        }
    }

    private func publisher() async throws -> any EventPublisher {
        if let redis {
            return try await RedisPublisher.connect(to: RedisURL(redis), prefix: prefix, isPlain: plain)
        }
        return HTTPPublisher(url: (url ?? .local).appending(path: "/publish"), token: token)
    }

    /// What one read of the input brings goes out together, and is acknowledged before the next: in order, and no more
    /// in flight than a read holds.
    private func publishLines(_ template: OutgoingEvent, through publisher: any EventPublisher) async throws {
        var input = LineInput(lineBytesMax: Publication.dataBytesMax)
        var number = 0
        while let lines = try await input.next() {
            var events: [OutgoingEvent] = []
            for line in lines {
                number += 1
                var event = template
                event.data = line
                event.once = once.map { "\($0):\(number)" }
                events.append(event)
            }
            try await publish(events, through: publisher)
        }
        guard end else { return }
        var last = template
        last.ends = true
        last.once = once.map { "\($0):\(number + 1)" }
        try await publish([last], through: publisher)
    }

    private func publish(_ events: [OutgoingEvent], through publisher: any EventPublisher) async throws {
        guard !events.isEmpty else { return }
        var text = ""
        var failure: (any Error)?
        for result in try await publisher.publish(events) {
            switch result {
            case .success(let receipt):
                text += "\(events[0].target) \(receipt.id?.description ?? "-") nodes=\(receipt.nodes)\n"
            case .failure(let error): failure = failure ?? error
            }
        }
        try Console.print(text)
        if let failure { throw failure }
    }
}
