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
        discussion: Help.text(PackageResources.publish_txt))

    @Option(parsing: .unconditional, help: .of("T", "Publish to this topic.")) var topic: String?
    @Option(parsing: .unconditional, help: .of("C", "Publish to the streams of this client.")) var client: String?
    @Flag(help: "Publish to every stream on every node.") var all = false
    @Option(parsing: .unconditional, help: .of("TYPE", "The event's type: what addEventListener() names in a browser."))
    var event: String?
    @Option(
        parsing: .unconditional,
        help: .of("K", "Conflation key: a later event with the same key makes this one superfluous."))
    var key: String?
    @Flag(help: "Close the topic with this event; with - it is the last line, so each line waits for the next.")
    var end = false
    @Flag(name: .customLong("no-log"), help: "Live only: no id, no log, gone for whoever is not connected.")
    var isUnlogged = false
    @Option(help: .of("N", "How many events the log keeps.")) var maxlen: Int?
    @Option(help: .of("D", "How long the log lives after its newest event, as 90s, 10m or 1h."))
    var ttl: DurationArgument?
    @Option(
        parsing: .unconditional,
        help: .of(
            "TOKEN",
            "Idempotency: the same token within 5 minutes publishes nothing. With - each line has TOKEN-1, TOKEN-2, …"))
    var once: String?

    @Option(
        help: .of("N", "Wait until so many of Redis' replicas have it, a second at most; the receipt says how many do.")
    )
    var replicas: Int?

    @Option(help: .of("URL", "A node's address. (default: http://127.0.0.1:8080)")) var url: WebAddress?
    @Option(
        help: .of(
            "URL",
            "Publish through Redis: redis://[user:password@]host[:port][/db], redis+sentinel://[user:password@]host[:port],…/MASTER[/db] or redis+cluster://[user:password@]host[:port],…; rediss… for TLS."
        ))
    var redis: RedisURL?
    @Option(parsing: .unconditional, help: .of("NAME", "The user for Sentinels that ask for a login."))
    var sentinelUser: String?
    @Option(
        parsing: .unconditional,
        help: .of("TEXT", "The password for Sentinels that ask for one. (default: $SLUICE_SENTINEL_PASSWORD)"))
    var sentinelPassword: String?
    @Option(help: .of("NAME", "The prefix of Redis' names, as the nodes have it.")) var prefix = "sluice"
    @Flag(help: "With --redis: a bare PUBLISH, whose bytes are the data; live only.") var plain = false
    @Option(help: .of("JWT", "Sent as a bearer token to --url. (default: $SLUICE_TOKEN)")) var token: String?
    @Option(help: .of("FILE", "Certificates (PEM) to trust for https:// and rediss://.")) var ca: String?
    @Option(help: .of("FILE", "A certificate (PEM) for a rediss:// server that asks for one.")) var redisCert: String?
    @Option(help: .of("FILE", "That certificate's private key (PEM).")) var redisKey: String?
    @Option(
        help: .of(
            "D",
            "With -: how long a server is asked again that is away or says later; 0s: not at all, and without tokens. At most 4m. (default: 2m)"
        ))
    var wait: DurationArgument?
    @Flag(name: .shortAndLong, help: "No receipts.") var quiet = false
    @Argument(help: .of("data", "The event's data; - publishes each line of standard input as it comes."))
    var data: String

    /// Redis knows a line's token for five minutes.
    private static let waitMax = TimeAmount.minutes(4)

    func validate() throws {
        _ = try publication()
        let isShaped =
            event != nil || key != nil || end || isUnlogged || maxlen != nil || ttl != nil || once != nil
            || replicas != nil
        try refuse(plain && redis == nil, "--plain is for --redis")
        try refuse(
            plain && isShaped,
            "a plain PUBLISH has no --event, --key, --end, --no-log, --maxlen, --ttl, --once or --replicas")
        try refuse(redis != nil && url != nil, "give --redis or --url, not both")
        try refuse(redis != nil && token != nil, "--token is for --url; a login to Redis is part of its URL")
        try refuse(redis == nil && prefix != "sluice", "--prefix is for --redis")
        try refuse((redisCert == nil) != (redisKey == nil), "--redis-cert and --redis-key go together")
        try refuse(
            redisCert != nil && redis?.usesTLS != true, "--redis-cert is for a --redis that begins with rediss://")
        let hasSentinels = if case .sentinel? = redis?.kind { true } else { false }
        try refuse(
            !hasSentinels && (sentinelUser != nil || sentinelPassword != nil),
            "--sentinel-user and --sentinel-password are for a --redis that begins with redis+sentinel://")
        try refuse(sentinelUser != nil && sentinelLogin.password == nil, "--sentinel-user needs --sentinel-password")
        if let problem = RedisNames.problem(prefix: prefix) { throw ValidationError("--prefix \(problem)") }
        try refuse(wait != nil && data != "-", "--wait is for data from standard input, -")
        try refuse((wait?.amount ?? .zero) > Publish.waitMax, "--wait takes at most 4m")
        let isLong = once?.utf8.count ?? 0 > 100
        try refuse(data == "-" && isLong, "with - a --once of at most 100 bytes, for each line's number is added")
        try refuse(end && isUnlogged, "--end needs the log")
    }

    private var sentinelLogin: SentinelLogin {
        SentinelLogin(user: sentinelUser, password: sentinelPassword ?? Environment.sentinelPassword)
    }

    private func outgoing() throws -> OutgoingEvent {
        let destination: OutgoingEvent.Destination
        switch (topic, client, all) {
        case (let topic?, nil, false): destination = .topic(topic)
        case (nil, let client?, false): destination = .client(client)
        case (nil, nil, true): destination = .all
        default: throw ValidationError("give exactly one of --topic, --client and --all")
        }
        return OutgoingEvent(
            data, to: destination, type: event, key: key, ends: end, isLogged: !isUnlogged, maxlen: maxlen,
            ttl: ttl.map { Duration($0.amount) }, once: once, replicas: replicas)
    }

    private func publication() throws -> Publication {
        let event = try outgoing()
        do { return try event.publication() } catch {
            throw ValidationError(error.part == .topic || error.part == .client ? "the \(error)" : "--\(error)")
        }
    }

    func run() async throws {
        let publisher = try await publisher()
        let target = try publication().target
        func report(_ receipt: Publisher.Receipt) throws {
            if quiet { return }
            let replicas = receipt.replicas.map { " replicas=\($0)" } ?? ""
            try StandardStream.output.write("\(target) \(receipt.id ?? "-") nodes=\(receipt.nodes)\(replicas)\n")
        }
        do {
            if data == "-" {
                try await publishLines(through: publisher, report)
            } else {
                try report(try await publisher.publish(try outgoing()))
            }
        } catch is StandardStream.Closed { throw Failure("nobody reads the receipts any more; stopped") }
        await publisher.close()
    }

    private func publishLines(
        through publisher: Publisher, _ report: @escaping (Publisher.Receipt) throws -> Void
    ) async throws {
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
        let limit = plain ? .zero : wait?.amount ?? .minutes(2)
        var template = try publication()
        if once == nil, limit > .zero { template.once = LinePublisher.randomToken() }
        var lines = LinePublisher(
            publisher, like: template, dataBytesMax: plain ? .max : Publication.dataBytesMax,
            patience: PublishPatience(limit: limit), progress: progress, report: report, note: StandardStream.note)
        try await lines.publish(from: StandardStream.input.read)
    }

    private func publisher() async throws -> Publisher {
        guard let redis else {
            return try Publisher(
                url?.text ?? "http://127.0.0.1:8080", token: token ?? Environment.token, certificateAuthority: ca)
        }
        let publisher = try Publisher(
            redis: redis, prefix: prefix, isPlain: plain, certificateAuthority: ca, certificate: redisCert,
            key: redisKey, sentinel: sentinelLogin)
        do { try await publisher.connect() } catch {
            // Lines wait for a connection that was lost at once as for one that is lost between two of them.
            guard data == "-", error.kind != .refused else { throw error }
        }
        return publisher
    }
}
