// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import SluiceBench
import SluiceRedis
import SluiceWeb

/// The options of `sluice bench` that say what to publish, and how.
struct BenchMessageOptions: ParsableArguments {
    @Option(name: [.customShort("m"), .customLong("messages")], help: .of("M", "How many messages.")) var count = 100
    @Option(name: .shortAndLong, help: .of("R", "Messages a second; 0: as fast as possible.")) var rate = 10.0
    @Option(name: .shortAndLong, help: .of("BYTES", "Bytes of a payload, at least \(Marker.length).")) var size = 128
    @Option(help: .of("K", "How many topics {t} stands for.")) var topics = 1
    @Option(help: .of("URL", "Publish through Redis.")) var redis: RedisURL?
    @Option(parsing: .unconditional, help: .of("NAME", "With --redis: the channel. (default: sluice:topic:bench)"))
    var channel: String?
    @Flag(help: "With --redis: FCALL sluice_publish instead of PUBLISH.") var logged = false
    @Option(help: .of("URL", "Publish with POST; {data} stands for the payload.")) var publishURL: String?
    @Option(
        parsing: .unconditional,
        help: .of(
            "TEXT",
            "The body of that POST, as {\"topic\":\"bench\",\"data\":\"{data}\"}; without it, the payload itself."))
    var bodyTemplate: String?
    @Option(help: .of("NAME: VALUE", "A header for that POST; may be given several times."))
    var publishHeader: [HeaderField] = []
    @Option(help: .of("N", "How many publishes may wait for their answer.")) var inFlight = 256
    @Option(help: .of("D", "Give up when nothing has arrived for so long.")) var linger = DurationArgument(seconds: 5)

    func validate(with streams: BenchStreamOptions) throws {
        try check("--messages", count, 0...100_000_000)
        try refuse(rate < 0 || !rate.isFinite, "--rate takes 0 or more")
        try check("--size", size, Marker.length...16_777_216)
        try refuse(!(1...streams.count).contains(topics), "--topics takes 1 to the number of streams")
        try check("--in-flight", inFlight, 1...100_000)
        try refuse(redis != nil && publishURL != nil, "give --redis or --publish-url, not both")
        try refuse(redis == nil && (logged || channel != nil), "--channel and --logged are for --redis")
        try refuse(
            publishURL == nil && (bodyTemplate != nil || !publishHeader.isEmpty),
            "--body-template and --publish-header are for --publish-url")
        try refuse(
            publishURL.map { WebAddress($0) == nil } ?? false,
            "--publish-url: \"\(publishURL ?? "")\" is no http:// address")
        if topics == 1 { return }
        try refuse(
            streams.url.isEmpty || !streams.url.allSatisfy { Template($0).hasTopic },
            "with --topics, --url needs a {t}")
        let places = channel ?? bodyTemplate.map { $0 + (publishURL ?? "") } ?? publishURL
        try refuse(
            places.map { !Template($0).hasTopic } ?? false,
            "with --topics, --channel, --publish-url or --body-template needs a {t}")
    }

    func destination(with streams: BenchStreamOptions) throws -> Destination {
        if count == 0 { return .none }
        if let redis {
            let channel = Template(channel ?? "sluice:topic:bench")
            return .redis(redis, certificateAuthority: streams.ca, channel: channel, isLogged: logged)
        }
        let isStandard = publishURL == nil && streams.url.isEmpty
        let url = isStandard ? "http://127.0.0.1:8080/publish" : publishURL
        guard let address = url.flatMap({ WebAddress($0) }) else { return .none }
        return .http(
            try WebDialer(address, certificateAuthority: streams.ca, verifiesServer: !streams.insecure),
            target: Template(address.target),
            body: (isStandard ? #"{"topic":"bench","data":"{data}"}"# : bodyTemplate).map { Template($0) },
            headers: publishHeader)
    }
}
