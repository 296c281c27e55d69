// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import NIOCore
import SluiceRedis
import UnixSignals

/// `sluice bench`: many streams, numbered messages, and what became of them.
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Open many streams on any SSE server, publish, and check what each stream receives.",
        discussion: """
            Opens --streams streams, publishes --messages numbered and time-stamped messages, and checks every stream for \
            loss, duplicates and order. Prints deliveries a second, latency from publish to receipt and, for the \
            processes of a server on this machine (--pid), CPU time per delivery and memory per idle stream.

            Without any address it uses a node on 127.0.0.1:8080 for both. With --url alone the streams are opened and \
            held, and nothing is published. With several --url the streams are spread over the servers.

            In --url, {i} stands for the stream's number and {t} for its topic's: stream i has topic i modulo --topics, \
            messages go to the topics in turn, and --channel, --publish-url and --body-template know {t} too.

            EXAMPLES
              sluice bench --streams 100 --messages 50
              sluice bench -n 10000 --redis redis://127.0.0.1 \\
                --pid "$(pgrep -d, -f 'sluice serve')"
              sluice bench -n 1000 -m 2000 --rate 0 --redis redis://127.0.0.1 --logged
              sluice bench -n 5000 --topics 5000 --redis redis://127.0.0.1 \\
                --url 'http://127.0.0.1:8080/events?client=u{t}' \\
                --channel 'sluice:client:u{t}'
              sluice bench -n 50000 --source-addresses 4 --hold 60s \\
                --url 'http://127.0.0.1:8080/events?topic=bench'
              sluice bench -n 10000 --http2 --ca cert.pem --redis redis://127.0.0.1 \\
                --url 'https://127.0.0.1:8443/events?topic=bench'
              sluice bench --url http://127.0.0.1/sub/bench \\
                --publish-url http://127.0.0.1/pub/bench

            The first Ctrl-C ends the phase it is in and prints what was found, a second one ends the bench. Exit codes: \
            0 all is well, 1 something was lost, duplicated, out of order, refused or cut off, 64 bad usage.
            """)

    @OptionGroup(title: "STREAMS")
    var streams: BenchStreamOptions

    @OptionGroup(title: "MESSAGES")
    var messages: BenchMessageOptions

    @Option(
        help: ArgumentHelp(
            "Processes of the server on this machine: CPU and memory are taken from /proc.", valueName: "PID[,PID]"))
    var pid: ProcessList?
    @Flag(help: "Print one line of JSON.")
    var json = false
    @Flag(name: .shortAndLong, help: "Don't show progress on standard error.")
    var quiet = false

    func validate() throws {
        try streams.validate()
        try messages.validate(with: streams)
    }

    func run() async throws {
        try OpenFileLimit.raise(to: streams.count + 64)
        let plan = BenchPlan(
            servers: try await streams.servers(), headers: streams.header, streams: streams.count,
            streamsPerConnection: streams.perConnection, topics: messages.topics,
            destination: try messages.destination(with: streams), messages: messages.count, rate: messages.rate,
            size: messages.size, inFlight: messages.inFlight, connectWindow: streams.connectWindow,
            sourceAddresses: streams.sourceAddresses, threads: streams.threads, settle: streams.settle.amount,
            hold: streams.hold.amount, linger: messages.linger.amount,
            probe: ProcessProbe(processes: pid?.processes ?? []),
            showsProgress: !quiet)
        let work = Task {
            var run = BenchRun(plan)
            return try await run.run()
        }
        let watch = await Bench.watchSignals(cancelling: work)
        let report = try await work.value
        watch.cancel()
        try? StandardStream.output.write(json ? "\(BenchReportJSON(report))\n" : "\(BenchReportText(report))")
        if !report.isGood { throw ExitCode.failure }
    }

    private static func watchSignals(cancelling work: Task<BenchReport, any Error>) async -> Task<Void, Never> {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        return Task {
            for await _ in signals {
                if work.isCancelled { Glibc.exit(130) }
                work.cancel()
            }
        }
    }
}
