// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import NIOCore
import SluiceClient
import SluiceCore
import SluiceRedis
import SluiceWeb
import UnixSignals

/// `sluice publish`: events to a topic, a client or everybody, through Redis or through a node.
struct Publish: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Publish events to a topic, a client or everybody.",
        usage: """
            sluice publish (--topic T | --client C | --all) [OPTION]... DATA
            sluice publish (--topic T | --client C | --all) [OPTION]... -
            """,
        discussion: Help.publish)

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
        _ = try publication()
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

    private func outgoing() throws -> OutgoingEvent {
        let destination: OutgoingEvent.Destination
        switch (topic, client, all) {
        case (let topic?, nil, false): destination = .topic(topic)
        case (nil, let client?, false): destination = .client(client)
        case (nil, nil, true): destination = .all
        default: throw ValidationError("give exactly one of --topic, --client and --all")
        }
        var event = OutgoingEvent(data, to: destination, type: event, key: key)
        event.ends = end
        event.isLogged = !isUnlogged
        event.maxlen = maxlen
        event.ttl = ttl.map { Duration($0.amount) }
        event.once = once
        return event
    }

    private func publication() throws -> Publication {
        let event = try outgoing()
        do { return try event.publication() } catch {
            switch error.part {
            case .topic, .client: throw ValidationError("the \(error)")
            case .event, .key, .once, .maxlen, .ttl: throw ValidationError("--\(error)")
            }
        }
    }

    func run() async throws {
        let publisher = try await publisher()
        do {
            if data == "-" {
                try await publishLines(through: publisher)
            } else {
                try report(try await publisher.publish(try outgoing()))
            }
        } catch is StandardStream.Closed {
            throw Failure("nobody reads the receipts any more; stopped")
        }
        await publisher.close()
    }

    private func report(_ receipt: Publisher.Receipt) throws {
        if quiet { return }
        try StandardStream.output.write("\(try publication().target) \(receipt.id ?? "-") nodes=\(receipt.nodes)\n")
    }

    private func publishLines(through publisher: Publisher) async throws {
        let progress = PublishProgress()
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        // Ends the process, whatever else is under way: nobody has to wait for it.
        let watch = Task {
            for await signal in signals {
                progress.interrupt {
                    StandardStream.note("stopped by a signal; \(progress.statement)")
                    Glibc.exit(signal == .sigint ? 130 : 143)
                }
            }
        }
        defer { watch.cancel() }
        let patience = PublishPatience(limit: plain ? .zero : wait?.amount ?? Publish.waitStandard)
        var splitter = LineSplitter(bytesMax: Publish.lineBytesMax)
        var template = try publication()
        if once == nil, patience.limit > .zero { template.once = LinePublisher.randomToken() }
        var lines = LinePublisher(
            publisher, template: template, dataBytesMax: plain ? .max : Publication.dataBytesMax, patience: patience,
            progress: progress, report: report, note: StandardStream.note)
        do {
            while true {
                let bytes = try await StandardStream.input.read()
                if bytes.isEmpty { break }
                try await lines.publish(try splitter.read(bytes))
            }
            if let last = try splitter.end() { try await lines.publish([last]) }
        } catch let error as LineSplitter.TooLong {
            throw Failure("line \(error.line): more than \(error.bytesMax) bytes; \(progress.statement)")
        }
        try await lines.end()
    }

    private func publisher() async throws -> Publisher {
        guard let redis else {
            return try Publisher(
                url?.text ?? "http://127.0.0.1:8080", token: token ?? Environment.token, certificateAuthority: ca)
        }
        let publisher = try Publisher(
            redis: redis, prefix: prefix, isPlain: plain, certificateAuthority: ca, certificate: redisCert,
            key: redisKey)
        try await publisher.connect()
        return publisher
    }
}
