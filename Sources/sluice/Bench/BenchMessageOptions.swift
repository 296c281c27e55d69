// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import NIOCore
import SluiceGateway
import SluiceRedis

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
        help: ArgumentHelp("Bytes of a payload, at least \(BenchMarker.length).", valueName: "BYTES"))
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
    var publishHeader: [HeaderArgument] = []
    @Option(help: ArgumentHelp("How many publishes may wait for their answer.", valueName: "N"))
    var inFlight = 256
    @Option(help: ArgumentHelp("Give up when nothing has arrived for so long.", valueName: "D"))
    var linger = DurationArgument(seconds: 5)

    func validate(with streams: BenchStreamOptions) throws {
        guard (0...100_000_000).contains(count) else { throw ValidationError("--messages takes 0 to 100000000") }
        guard rate >= 0, rate.isFinite else { throw ValidationError("--rate takes 0 or more") }
        guard (BenchMarker.length...16_777_216).contains(size) else {
            throw ValidationError("--size takes \(BenchMarker.length) to 16777216")
        }
        guard (1...streams.count).contains(topics) else {
            throw ValidationError("--topics takes 1 to the number of streams")
        }
        guard (1...100_000).contains(inFlight) else { throw ValidationError("--in-flight takes 1 to 100000") }
        if redis != nil, publishURL != nil { throw ValidationError("give --redis or --publish-url, not both") }
        if redis == nil, logged || channel != nil { throw ValidationError("--channel and --logged are for --redis") }
        if publishURL == nil, bodyTemplate != nil || !publishHeader.isEmpty {
            throw ValidationError("--body-template and --publish-header are for --publish-url")
        }
        if let publishURL, WebAddress(publishURL) == nil {
            throw ValidationError("--publish-url: \"\(publishURL)\" is no http:// address")
        }
        if topics > 1, !streams.url.allSatisfy({ BenchTemplate($0).hasTopic }) || streams.url.isEmpty {
            throw ValidationError("with --topics, --url needs a {t}")
        }
        if topics > 1, let text = channel ?? bodyTemplate ?? publishURL, !BenchTemplate(text).hasTopic,
            !BenchTemplate(publishURL ?? "").hasTopic
        {
            throw ValidationError("with --topics, --channel, --publish-url or --body-template needs a {t}")
        }
    }

    func destination(with streams: BenchStreamOptions) throws -> BenchPlan.Destination {
        if count == 0 { return .none }
        if let redis {
            let endpoint: RedisEndpoint
            do {
                endpoint = try RedisEndpoint(url: redis, certificateAuthority: streams.ca, clientName: "sluice-bench")
            } catch { throw Failure("can't read the certificates", error) }
            return .redis(endpoint, channel: BenchTemplate(channel ?? "sluice:topic:bench"), isLogged: logged)
        }
        if let publishURL {
            return try http(publishURL, body: bodyTemplate, with: streams)
        }
        return streams.url.isEmpty
            ? try http(BenchMessageOptions.standardURL, body: BenchMessageOptions.standardBody, with: streams) : .none
    }

    private func http(_ url: String, body: String?, with streams: BenchStreamOptions) throws -> BenchPlan.Destination {
        guard let address = WebAddress(url) else { throw ValidationError("\"\(url)\" is no http:// address") }
        return .http(
            try WebDialer(address, certificateAuthority: streams.ca, verifiesServer: !streams.insecure),
            target: BenchTemplate(address.target),
            body: body.map { BenchTemplate($0) }, headers: publishHeader)
    }
}
