// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import NIOCore
import NIOPosix
import SluiceCore
import SluiceGateway
import SluiceRedis
import UnixSignals

/// `sluice publish`: events to a topic, a client or everybody, through Redis or through a node.
struct Publish: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Publish events to a topic, a client or everybody.",
        usage: """
            sluice publish (--topic T | --client C | --all) [OPTION]... DATA
            sluice publish (--topic T | --client C | --all) [OPTION]... -
            """,
        discussion: """
            Prints a receipt for each event: where it went, its id (- if it has none), and how many nodes heard it; \
            0 nodes: nobody is listening anywhere.

            Through a node (--url), or straight through Redis (--redis), where the function sluice_publish is \
            installed if it is missing.

            EXAMPLES
              sluice publish --topic news "hello"
              sluice publish --client ann --event invoice '{"number": 17}'
              sluice publish --all --no-log --redis redis://127.0.0.1 "back at 10"
              sluice publish --topic status --redis redis://127.0.0.1 --plain up
              tail -F app.log | sluice publish --topic log -
              ./job | sluice publish --topic job.42 --end -
              sluice publish --topic temperature -- -5

            With - each line is published once, in order. If the server asks for patience (429, 503) or is away, it is \
            asked again, for as long as --wait says; so that a line whose answer was lost is not doubled, each has a token \
            as by --once, which Redis keeps for 5 minutes. Whatever ends it, one line on standard error says where.

            Exit codes: 0 all was published, 1 something was not (one line on standard error), 64 bad usage, 130 or 143 \
            stopped by a signal.
            """)

    @Option(parsing: .unconditional, help: ArgumentHelp("Publish to this topic.", valueName: "T"))
    var topic: String?
    @Option(parsing: .unconditional, help: ArgumentHelp("Publish to the streams of this client.", valueName: "C"))
    var client: String?
    @Flag(help: "Publish to every stream on every node.")
    var all = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The event's type: what addEventListener() names in a browser.", valueName: "TYPE")
    )
    var event: String?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Conflation key: a later event with the same key makes this one superfluous.", valueName: "K"))
    var key: String?
    @Flag(help: "Close the topic with this event; with - it is the last line, so each line waits for the next.")
    var end = false
    @Flag(name: .customLong("no-log"), help: "Live only: no id, no log, gone for whoever is not connected.")
    var isUnlogged = false
    @Option(help: ArgumentHelp("How many events the log keeps.", valueName: "N"))
    var maxlen: Int?
    @Option(help: ArgumentHelp("How long the log lives after its newest event, as 90s, 10m or 1h.", valueName: "D"))
    var ttl: DurationArgument?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Idempotency: the same token within 5 minutes publishes nothing. With - each line has TOKEN-1, TOKEN-2, …",
            valueName: "TOKEN"))
    var once: String?

    @Option(help: ArgumentHelp("A node's address. (default: http://127.0.0.1:8080)", valueName: "URL"))
    var url: WebAddress?
    @Option(
        help: ArgumentHelp(
            "Publish through Redis: redis://[user:password@]host[:port][/db], or rediss://.", valueName: "URL"))
    var redis: RedisURL?
    @Option(help: ArgumentHelp("The prefix of Redis' names, as the nodes have it.", valueName: "NAME"))
    var prefix = "sluice"
    @Flag(help: "With --redis: a bare PUBLISH, whose bytes are the data; live only.")
    var plain = false
    @Option(help: ArgumentHelp("Sent as a bearer token to --url. (default: $SLUICE_TOKEN)", valueName: "JWT"))
    var token: String?
    @Option(help: ArgumentHelp("Certificates (PEM) to trust for https:// and rediss://.", valueName: "FILE"))
    var ca: String?
    @Option(help: ArgumentHelp("A certificate (PEM) for a rediss:// server that asks for one.", valueName: "FILE"))
    var redisCert: String?
    @Option(help: ArgumentHelp("That certificate's private key (PEM).", valueName: "FILE"))
    var redisKey: String?
    @Option(
        help: ArgumentHelp(
            "With -: how long a server is asked again that is away or says later; 0s: not at all, and without tokens. At most 4m. (default: 2m)",
            valueName: "D"))
    var wait: DurationArgument?
    @Flag(name: .shortAndLong, help: "No receipts.")
    var quiet = false

    @Argument(
        help: ArgumentHelp("The event's data; - publishes each line of standard input as it comes.", valueName: "data"))
    var data: String

    /// The longest line that is taken from standard input. What a logged event may have is for Redis to say.
    private static let lineBytesMax = 32 << 20
    private static let waitStandard = TimeAmount.minutes(2)
    /// Redis knows a line's token for five minutes.
    private static let waitMax = TimeAmount.minutes(4)
    private static let onceBytesMax = 100

    func validate() throws {
        _ = try template()
        if plain {
            if redis == nil { throw ValidationError("--plain is for --redis") }
            if event != nil || key != nil || end || isUnlogged || maxlen != nil || ttl != nil || once != nil {
                throw ValidationError(
                    "a plain PUBLISH has no --event, --key, --end, --no-log, --maxlen, --ttl or --once")
            }
        }
        if redis != nil {
            if url != nil { throw ValidationError("give --redis or --url, not both") }
            if token != nil { throw ValidationError("--token is for --url; a login to Redis is part of its URL") }
        } else if prefix != "sluice" {
            throw ValidationError("--prefix is for --redis")
        }
        if (redisCert == nil) != (redisKey == nil) { throw ValidationError("--redis-cert and --redis-key go together") }
        if redisCert != nil, redis?.usesTLS != true {
            throw ValidationError("--redis-cert is for a --redis that begins with rediss://")
        }
        if let problem = RedisNames.problem(prefix: prefix) { throw ValidationError("--prefix \(problem)") }
        if let wait {
            guard data == "-" else { throw ValidationError("--wait is for data from standard input, -") }
            guard wait.amount <= Publish.waitMax else { throw ValidationError("--wait takes at most 4m") }
        }
        if data == "-", let once, once.utf8.count > Publish.onceBytesMax {
            throw ValidationError(
                "with - a --once of at most \(Publish.onceBytesMax) bytes, for each line's number is added")
        }
        if end, isUnlogged { throw ValidationError("--end needs the log") }
    }

    /// What is to be published, but for the data.
    private func template() throws -> Publication {
        let target = try target()
        var retention = Publication.Retention(maxlen: maxlen)
        if let event, let problem = EventLabel.problem(type: event) { throw ValidationError("--event \(problem)") }
        if let key, let problem = EventLabel.problem(key: key) { throw ValidationError("--key \(problem)") }
        if let once, let problem = EventLabel.problem(key: once) { throw ValidationError("--once \(problem)") }
        if let maxlen, !Publication.maxlenRange.contains(maxlen) {
            throw ValidationError("--maxlen takes 1 to \(Publication.maxlenRange.upperBound)")
        }
        if let ttl {
            guard let seconds = ttl.wholeSeconds, Publication.ttlRange.contains(seconds) else {
                throw ValidationError("--ttl takes whole seconds, from 1s to 168h")
            }
            retention.ttl = seconds
        }
        return Publication(
            Event(ByteBuffer(), type: event, key: key, ends: end), to: target,
            retention: isUnlogged ? nil : retention, once: once)
    }

    private func target() throws -> Target {
        switch (topic, client, all) {
        case (let topic?, nil, false):
            do { return try .topic(topic) } catch { throw ValidationError("the topic \(error)") }
        case (nil, let client?, false):
            do { return try .client(client) } catch { throw ValidationError("the client \(error)") }
        case (nil, nil, true): return .all
        default: throw ValidationError("give exactly one of --topic, --client and --all")
        }
    }

    func run() async throws {
        let route = try await route()
        var template = try template()
        let target = template.target
        let isQuiet = quiet
        @Sendable func report(_ receipt: Receipt) throws {
            if isQuiet { return }
            try StandardStream.output.write("\(target) \(receipt.id?.description ?? "-") nodes=\(receipt.nodes)\n")
        }
        do {
            if data == "-" {
                try await publishLines(like: template, through: route, report: report)
            } else {
                template.event.data = ByteBuffer(string: data)
                for result in await route.publish([template]) { try report(try result.receipt) }
            }
        } catch is StandardStream.Closed {
            throw Failure("nobody reads the receipts any more; stopped")
        }
        await route.close()
    }

    private func publishLines(
        like template: Publication, through route: any PublishRoute, report: @escaping (Receipt) throws -> Void
    ) async throws {
        let progress = PublishProgress()
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        // Ends the process, whatever else is under way: nobody has to wait for it.
        let watch = Task { for await signal in signals { progress.interrupt(signal == .sigint ? 130 : 143) } }
        defer { watch.cancel() }
        let patience = PublishPatience(limit: plain ? .zero : wait?.amount ?? Publish.waitStandard)
        let input = StandardInput()
        var splitter = LineSplitter(bytesMax: Publish.lineBytesMax)
        var template = template
        if once == nil, patience.limit > .zero { template.once = LinePublisher.randomToken() }
        var publisher = LinePublisher(
            route: route, template: template, dataBytesMax: plain ? .max : Publication.dataBytesMax,
            patience: patience, progress: progress, report: report)
        do {
            while true {
                let bytes = try await input.read()
                if bytes.isEmpty { break }
                try await publisher.publish(try splitter.read(bytes))
            }
            if let last = try splitter.end() { try await publisher.publish([last]) }
        } catch let error as LineSplitter.TooLong {
            throw Failure("line \(error.line): more than \(error.bytesMax) bytes; \(progress.statement)")
        }
        try await publisher.end()
    }

    private func route() async throws -> any PublishRoute {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        if let redis {
            let endpoint: RedisEndpoint
            do {
                endpoint = try RedisEndpoint(
                    url: redis, certificateAuthority: ca, certificate: redisCert, key: redisKey,
                    clientName: "sluice-publish")
            } catch { throw Failure("can't read the certificates", error) }
            let route = RedisRoute(endpoint, names: RedisNames(prefix: prefix), isPlain: plain, on: eventLoop)
            try await route.connect()
            return route
        }
        var address = try url ?? Publish.defaultAddress()
        if address.hasNoPath { address.target = "/publish" }
        return HTTPRoute(
            try WebDialer(address, certificateAuthority: ca), token: token ?? Environment.token, on: eventLoop)
    }

    private static func defaultAddress() throws -> WebAddress {
        guard let address = WebAddress("http://127.0.0.1:8080") else { throw Failure("no address") }
        return address
    }
}
