// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// The command.
@main
struct Sluice: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sluice",
        abstract: "A horizontally scaled fan-out gateway for Server-Sent Events.",
        subcommands: [
            Serve.self, Publish.self, Subscribe.self, Who.self, Nodes.self, Partitions.self, Health.self, Bench.self,
            Token.self,
        ])

    static func main() async {
        let arguments = Array(CommandLine.arguments.dropFirst())
        do {
            var command = try parseAsRoot(DashedData.separated(arguments))
            if var command = command as? any AsyncParsableCommand { return try await command.run() }
            try command.run()
        } catch {
            if exitCode(for: error) == .validationFailure, let hint = DashedData.hint(arguments) {
                StandardStream.note(hint)
            }
            exit(withError: error)
        }
    }
}
