// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import SluiceBench
import UnixSignals

/// `sluice bench`: many streams, numbered messages, and what became of them.
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Open many streams on any SSE server, publish, and check what each stream receives.",
        discussion: Help.bench)

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
        var plan = Plan(servers: try streams.servers(), destination: try messages.destination(with: streams))
        plan.streams = streams.count
        plan.streamsPerConnection = streams.perConnection
        plan.connectWindow = streams.connectWindow
        plan.sourceAddresses = streams.sourceAddresses
        plan.threads = streams.threads
        plan.settle = streams.settle.amount
        plan.hold = streams.hold.amount
        plan.topics = messages.topics
        plan.messages = messages.count
        plan.rate = messages.rate
        plan.size = messages.size
        plan.inFlight = messages.inFlight
        plan.linger = messages.linger.amount
        plan.processes = pid?.processes ?? []
        let progress = ProgressLine(isTerminal: StandardStream.error.isTerminal) {
            try? StandardStream.error.write($0)
        }
        let work = Task { [plan, quiet] in
            var run = Run(plan, progress: quiet ? nil : progress)
            return try await run.run()
        }
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        let watch = Task {
            for await _ in signals {
                if work.isCancelled { Glibc.exit(130) }
                work.cancel()
            }
        }
        let report = try await work.value
        watch.cancel()
        try? StandardStream.output.write(json ? "\(report.json)\n" : report.text)
        if !report.isGood { throw ExitCode.failure }
    }
}
