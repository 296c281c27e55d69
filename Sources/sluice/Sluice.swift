// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// The command.
@main
struct Sluice: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sluice",
        abstract: "A horizontally scaled fan-out gateway for Server-Sent Events.",
        subcommands: [Serve.self, Publish.self, Subscribe.self, Bench.self, Token.self])
}
