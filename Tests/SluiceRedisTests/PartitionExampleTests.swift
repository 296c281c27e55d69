// SPDX-License-Identifier: Apache-2.0
import Foundation
import SluiceCore
import SluiceRedis
import TestSupport
import Testing

/// The helpers of `deploy/examples/partitions`, each in its own language where the machine has it.
@Suite("A backend's ten lines")
struct PartitionExampleTests {
    private static let directory = "\(Repository.root)/deploy/examples/partitions"

    struct Language: Sendable, CustomTestStringConvertible {
        let name: String
        let command: String
        /// What runs the program that is written to a file of this name, beside the helper.
        let arguments: [String]
        let file: String
        /// Prints the names of each target of `targets`, without and with a token, one name a line.
        let program: @Sendable (_ targets: [String]) -> String

        var testDescription: String { name }
    }

    /// A string literal in all of these languages, because none has a quote, a backslash or a dollar sign.
    private static func list(_ targets: [String]) -> String {
        targets.map { "\"\($0)\"" }.joined(separator: ", ")
    }

    private static let languages = [
        Language(name: "Python", command: "python3", arguments: [], file: "main.py") {
            """
            from names import sluice_names
            for target in [\(list($0))]:
                print("\\n".join(sluice_names(target, prefix="app") + sluice_names(target, "a b")))
            """
        },
        Language(name: "JavaScript", command: "node", arguments: [], file: "main.js") {
            """
            const { sluiceNames } = require("./names.js");
            for (const target of [\(list($0))])
              console.log([...sluiceNames(target, undefined, "app"), ...sluiceNames(target, "a b")].join("\\n"));
            """
        },
        Language(name: "PHP", command: "php", arguments: [], file: "main.php") {
            """
            <?php
            require "names.php";
            foreach ([\(list($0))] as $target)
                echo implode("\\n", array_merge(sluice_names($target, null, "app"), sluice_names($target, "a b"))), "\\n";
            """
        },
        Language(name: "Go", command: "go", arguments: ["run", "names.go"], file: "main.go") {
            """
            package main
            import "fmt"
            func main() {
                for _, target := range []string{\(list($0))} {
                    for _, name := range append(SluiceNames(target, "", "app"), SluiceNames(target, "a b", "sluice")...) { fmt.Println(name) }
                }
            }
            """
        },
    ]

    private static func has(_ command: String) -> Bool {
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
            FileManager.default.isExecutableFile(atPath: "\($0)/\(command)")
        }
    }

    private static let targets: [Target] = {
        let names = [
            "news", "a", "ö", "日本語", "😀", "a:topic:b",
            String(repeating: "x", count: 255),
        ]
        let made =
            names.flatMap { [try? Target.topic($0), try? Target.client($0)] }
            + (0..<100).map { try? Target.topic("orders.\($0)") }
        return [.all] + made.compactMap { $0 }
    }()

    @Test(
        "computes the names of every target as the gateway does", .timeLimit(.minutes(2)), arguments: languages)
    func names(language: Language) async throws {
        // Nothing is installed for this test alone.
        guard PartitionExampleTests.has(language.command) else {
            try Test.cancel("there is no \(language.command) here")
        }
        let directory = try Repository.temporaryDirectory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let copy = "\(directory)/partitions"
        try FileManager.default.copyItem(atPath: PartitionExampleTests.directory, toPath: copy)
        try language.program(PartitionExampleTests.targets.map(\.description)).write(
            toFile: "\(copy)/\(language.file)", atomically: true, encoding: .utf8)
        let program = try ChildProcess(
            language.command, language.arguments + [language.file],
            environment: ["GOCACHE": "\(directory)/go", "GO111MODULE": "off"], directory: copy)
        #expect(await program.exitCode(within: 100) == 0)
        let expected = PartitionExampleTests.targets.flatMap { target in
            [RedisNames(prefix: "app", partitioning: .cluster), ClusterBench.names].flatMap { names in
                let keys = [
                    names.channel(target), names.marker(target), names.clock(names.partitioning.partition(of: target)),
                ]
                return names.prefix == "app" ? keys : keys + [names.once(target, token: "a b")]
            }
        }
        #expect(program.output.split(separator: "\n").map(String.init) == expected, "\(program.output.prefix(2000))")
    }

    private static let redisPython = ProcessInfo.processInfo.environment["SLUICE_TEST_PYTHON"]

    @Test(
        "publishes over redis-py's cluster client, live and logged",
        .enabled(
            if: redisPython != nil || Repository.isContinuousIntegration,
            "SLUICE_TEST_PYTHON names no Python with redis-py"),
        .timeLimit(.minutes(1)))
    func redisPy() async throws {
        let python = try #require(PartitionExampleTests.redisPython)
        let bench = try await ClusterBench(masters: 3)
        for topic in ["news", "ö", "b", "c"] {
            let target = try Target.topic(topic)
            let master = try await bench.cluster.master(of: ClusterBench.names.channel(target))
            let listener = try await RedisClient(master)
            try await listener.command("SSUBSCRIBE", ClusterBench.names.channel(target))
            let seed = try #require(try await bench.cluster.masters().first { $0 !== master })
            let program = try ChildProcess(
                python,
                [
                    "-B", "\(PartitionExampleTests.directory)/publish.py", "redis://127.0.0.1:\(seed.port)", topic,
                    "hello",
                ])
            #expect(await program.exitCode() == 0, "\(program.output)")
            #expect(try await listener.message() == "smessage \(ClusterBench.names.channel(target)) hello")
            let id = try #require(program.output.split(separator: " ").first)
            #expect(
                try await listener.message().hasPrefix("smessage \(ClusterBench.names.channel(target)) \u{1E}1 \(id) "))
            #expect(program.output.hasSuffix(" 1\n"))
        }
    }
}
