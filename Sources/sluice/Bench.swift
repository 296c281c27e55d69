// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import SluiceBench
import UnixSignals

/// `sluice bench`: many streams, numbered messages, and what became of them.
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Open many streams on any SSE server, publish, and check what each stream receives.",
        discussion: Help.text(PackageResources.bench_txt))

    @OptionGroup(title: "STREAMS") var streams: BenchStreamOptions
    @OptionGroup(title: "MESSAGES") var messages: BenchMessageOptions

    @Option(help: .of("PID[,PID]", "Processes of the server on this machine: CPU and memory are taken from /proc."))
    var pid: ProcessProbe?
    @Flag(help: "Print one line of JSON.") var json = false
    @Flag(name: .shortAndLong, help: "Don't show progress on standard error.") var quiet = false

    func validate() throws {
        try messages.validate(with: streams)
    }

    func run() async throws {
        var plan = Plan(servers: try streams.servers(), destination: try messages.destination(with: streams))
        (plan.streams, plan.streamsPerConnection, plan.threads) = (
            streams.count, streams.perConnection, streams.threads
        )
        (plan.connectWindow, plan.sourceAddresses) = (streams.connectWindow, streams.sourceAddresses)
        (plan.settle, plan.hold, plan.linger) = (streams.settle.amount, streams.hold.amount, messages.linger.amount)
        (plan.topics, plan.messages, plan.size) = (messages.topics, messages.count, messages.size)
        (plan.rate, plan.inFlight) = (messages.rate, messages.inFlight)
        plan.probe = pid
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
