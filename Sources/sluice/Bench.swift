// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import NIOCore
import SluiceRedis

/// `sluice bench`: measures a server of event streams, and proves that each stream got each message once and in order.
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure any server of event streams, and check every stream.",
        discussion: """
            Opens the streams, waits until they are quiet, publishes the messages, and checks at each stream that \
            each message arrives once and in order. Prints deliveries per second, latency from publish to receive, and \
            for servers on this machine (--pid) CPU time per delivery and memory per idle stream.

            Messages go through Redis (--redis, --channel), through any HTTP endpoint (--publish-url, --body), or, \
            with neither, by POST to /publish of the server that holds the streams. --messages 0 opens the streams only.

            Examples:
              sluice bench --streams 1000 --messages 100
              sluice bench --streams 10000 --messages 200 --pid $(pidof sluice) \\
                --redis redis://127.0.0.1:6379
              sluice bench --streams 1000 --messages 2000 --rate 0 --logged --json \\
                --redis redis://127.0.0.1:6379
              sluice bench --streams 20000 --source-addresses 4 \\
                --url 'http://127.0.0.1:8080/events?topic=bench&client=c{i}'
              sluice bench --url http://127.0.0.1:3000/sse \\
                --publish-url http://127.0.0.1:3000/push --body '{"text":"{data}"}'

            Exit code: 0 if nothing was lost, duplicated, out of order or refused, 1 otherwise, 64 for bad usage.
            """)

    @Option(help: ArgumentHelp("What each stream asks for; {i} is the stream's number.", valueName: "url"))
    var url: HTTPURL = HTTPURL.local.appending(path: "/events").appending(query: [(name: "topic", value: "bench")])

    @Option(help: ArgumentHelp("Streams to open.", valueName: "n"))
    var streams = 100

    @Option(help: ArgumentHelp("Messages to publish; 0: none.", valueName: "n"))
    var messages = 100

    @Option(help: ArgumentHelp("Messages per second; 0: as fast as possible.", valueName: "n"))
    var rate = 10.0

    @Option(help: ArgumentHelp("Bytes of a message, at least \(BenchMarker.length).", valueName: "bytes"))
    var size = 128

    @Option(help: ArgumentHelp("Publish through this Redis.", valueName: "url"))
    var redis: String?

    @Option(help: ArgumentHelp("The channel to publish on; with --redis.", valueName: "name"))
    var channel = "sluice:topic:bench"

    @Flag(help: "Publish with FCALL sluice_publish in place of a bare PUBLISH; with --redis.")
    var logged = false

    @Option(help: ArgumentHelp("Publish by POST to this URL.", valueName: "url"))
    var publishUrl: HTTPURL?

    @Option(help: ArgumentHelp("The body of a POST; {data} is the message.", valueName: "text"))
    var body = #"{"topic":"bench","data":"{data}"}"#

    @Option(
        help: ArgumentHelp(
            "Messages sent and not yet acknowledged. (default: 512 through Redis; 1 by POST, as not all take more)",
            valueName: "n"))
    var inFlight: Int?

    @Option(help: ArgumentHelp("Sent as Authorization: Bearer with the streams and the POST.", valueName: "jwt"))
    var token: String?

    @Option(
        help: ArgumentHelp("Processes on this machine to measure, separated by commas.", valueName: "pid,…"))
    var pid: String?

    @Option(
        help: ArgumentHelp(
            "Connect from so many addresses, 127.0.0.2 on: each has about 28,000 ports. 0: the system chooses.",
            valueName: "n"))
    var sourceAddresses = 0

    @Option(help: ArgumentHelp("Streams being opened at a time.", valueName: "n"))
    var connectWindow = 256

    @Option(help: ArgumentHelp("Quiet time after the streams are open.", valueName: "seconds"))
    var settle = 0.5

    @Option(help: ArgumentHelp("How long to wait for what is missing after the last message.", valueName: "seconds"))
    var linger = 5.0

    @Option(help: ArgumentHelp("Event loops for the streams; the publisher has one of its own.", valueName: "n"))
    var loops = 1

    @Flag(help: "Print one line of JSON.")
    var json = false

    func validate() throws {
        _ = try plan()
    }

    private func plan() throws -> BenchPlan {
        func check(_ isGood: Bool, _ message: String) throws {
            if !isGood { throw ValidationError(message) }
        }
        try check((1...1_000_000).contains(streams), "--streams takes a number from 1 to 1000000")
        try check((0...100_000_000).contains(messages), "--messages takes a number from 0 to 100000000")
        try check(rate >= 0 && rate <= 1e6, "--rate takes a number from 0 to 1000000")
        try check(
            (BenchMarker.length...1 << 20).contains(size), "--size takes a number from \(BenchMarker.length) to 1048576"
        )
        try check((0...250).contains(sourceAddresses), "--source-addresses takes a number from 0 to 250")
        try check(connectWindow > 0, "--connect-window takes a number from 1 on")
        try check((1...64).contains(loops), "--loops takes a number from 1 to 64")
        try check(inFlight ?? 1 > 0, "--in-flight takes a number from 1 on")
        try check(
            (0...3600).contains(settle) && (0...3600).contains(linger), "--settle and --linger take seconds up to 3600")
        let processes = try (pid ?? "").split(separator: ",").map { text in
            guard let process = Int32(text), process > 0 else {
                throw ValidationError("--pid takes numbers and commas")
            }
            return process
        }
        return BenchPlan(
            url: url, streams: streams, publisher: try publisher(), messages: messages, rate: rate, size: size,
            inFlightMax: inFlight ?? (redis == nil ? 1 : 512), sourceAddresses: sourceAddresses,
            connectWindow: connectWindow, settle: .nanoseconds(Int64(settle * 1e9)),
            linger: .nanoseconds(Int64(linger * 1e9)), loops: loops, token: token, processes: processes)
    }

    private func publisher() throws -> BenchPlan.Publisher {
        if messages == 0 { return .none }
        guard let redis else {
            if logged { throw ValidationError("--logged needs --redis") }
            guard body.contains("{data}") else { throw ValidationError("--body must hold {data}") }
            var server = url
            server.target = "/"
            return .http(publishUrl ?? server.appending(path: "/publish"), body: body)
        }
        if publishUrl != nil { throw ValidationError("give --redis or --publish-url, not both") }
        do throws(RedisURL.Malformed) {
            return .redis(try RedisURL(redis), channel: channel, isLogged: logged)
        } catch { throw ValidationError("--redis \(error)") }
    }

    func run() async throws {
        let report: BenchReport
        do {
            try Bench.raiseDescriptorLimit(to: streams + 64)
            report = try await BenchRun(plan: plan()).run()
        } catch {
            Console.complain(Console.reason(of: error))
            throw ExitCode.failure
        }
        do { try Console.print(json ? report.json : report.text) } catch { throw ExitCode.failure }
        guard report.isGood else { throw ExitCode.failure }
    }

    /// Each stream is a descriptor; what is usual by default is 1024.
    private static func raiseDescriptorLimit(to wanted: Int) throws {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        guard limit.rlim_max >= rlim_t(wanted) else {
            throw PublishRefused(
                description: "\(wanted) descriptors are needed, \(limit.rlim_max) are allowed (ulimit -Hn)")
        }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
