// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import SluiceBench
import SluiceClient
import SluiceRedis
import SluiceWeb

/// The options of `sluice bench` that say what to publish, and how.
struct BenchMessageOptions: ParsableArguments {
    private static let standardURL = "http://127.0.0.1:8080/publish"
    private static let standardBody = #"{"topic":"bench","data":"{data}"}"#

    @Option(
        name: [.customShort("m"), .customLong("messages")], help: ArgumentHelp("How many messages.", valueName: "M"))
    var count = 100
    @Option(name: .shortAndLong, help: ArgumentHelp("Messages a second; 0: as fast as possible.", valueName: "R"))
    var rate = 10.0
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Bytes of a payload, at least \(Marker.length).", valueName: "BYTES"))
    var size = 128
    @Option(help: ArgumentHelp("How many topics {t} stands for.", valueName: "K"))
    var topics = 1
    @Option(help: ArgumentHelp("Publish through Redis.", valueName: "URL"))
    var redis: RedisURL?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("With --redis: the channel. (default: sluice:topic:bench)", valueName: "NAME"))
    var channel: String?
    @Flag(help: "With --redis: FCALL sluice_publish instead of PUBLISH.")
    var logged = false
    @Option(help: ArgumentHelp("Publish with POST; {data} stands for the payload.", valueName: "URL"))
    var publishURL: String?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "The body of that POST, as {\"topic\":\"bench\",\"data\":\"{data}\"}; without it, the payload itself.",
            valueName: "TEXT"))
    var bodyTemplate: String?
    @Option(help: ArgumentHelp("A header for that POST; may be given several times.", valueName: "NAME: VALUE"))
    var publishHeader: [HeaderField] = []
    @Option(help: ArgumentHelp("How many publishes may wait for their answer.", valueName: "N"))
    var inFlight = 256
    @Option(help: ArgumentHelp("Give up when nothing has arrived for so long.", valueName: "D"))
    var linger = DurationArgument(seconds: 5)

    func validate(with streams: BenchStreamOptions) throws {
        try check("--messages", count, 0...100_000_000)
        guard rate >= 0, rate.isFinite else { throw ValidationError("--rate takes 0 or more") }
        try check("--size", size, Marker.length...16_777_216)
        guard (1...streams.count).contains(topics) else {
            throw ValidationError("--topics takes 1 to the number of streams")
        }
        try check("--in-flight", inFlight, 1...100_000)
        if redis != nil, publishURL != nil { throw ValidationError("give --redis or --publish-url, not both") }
        if redis == nil, logged || channel != nil { throw ValidationError("--channel and --logged are for --redis") }
        if publishURL == nil, bodyTemplate != nil || !publishHeader.isEmpty {
            throw ValidationError("--body-template and --publish-header are for --publish-url")
        }
        if let publishURL, WebAddress(publishURL) == nil {
            throw ValidationError("--publish-url: \"\(publishURL)\" is no http:// address")
        }
        if topics > 1, !streams.url.allSatisfy({ Template($0).hasTopic }) || streams.url.isEmpty {
            throw ValidationError("with --topics, --url needs a {t}")
        }
        if topics > 1, let text = channel ?? bodyTemplate ?? publishURL, !Template(text).hasTopic,
            !Template(publishURL ?? "").hasTopic
        {
            throw ValidationError("with --topics, --channel, --publish-url or --body-template needs a {t}")
        }
    }

    func destination(with streams: BenchStreamOptions) throws -> Destination {
        if count == 0 { return .none }
        if let redis {
            let endpoint: RedisEndpoint
            do {
                endpoint = try RedisEndpoint(url: redis, certificateAuthority: streams.ca, clientName: "sluice-bench")
            } catch { throw ClientError("can't read the certificates", error) }
            return .redis(endpoint, channel: Template(channel ?? "sluice:topic:bench"), isLogged: logged)
        }
        let isStandard = publishURL == nil && streams.url.isEmpty
        guard let url = publishURL ?? (isStandard ? BenchMessageOptions.standardURL : nil),
            let address = WebAddress(url)
        else { return .none }
        return .http(
            try WebDialer(address, certificateAuthority: streams.ca, verifiesServer: !streams.insecure),
            target: Template(address.target),
            body: (isStandard ? BenchMessageOptions.standardBody : bodyTemplate).map { Template($0) },
            headers: publishHeader)
    }
}
