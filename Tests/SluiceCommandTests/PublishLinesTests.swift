// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// `sluice publish -` and `sluice subscribe` as they are run, against servers that have a bad day.
@Suite(.serialized) struct PublishLinesTests {
    private static let count = 2000

    private func log(_ redis: RedisServer) async throws -> [String] {
        let lines = try await redis.cli("XRANGE", "sluice:topic:t", "-", "+").split(separator: "\n")
        return zip(lines, lines.dropFirst()).filter { $0.0 == "d" }.map { String($0.1) }
    }

    /// Runs `sluice publish -` on what a shell command prints.
    private func publish(_ source: String, _ arguments: [String]) throws -> ChildProcess {
        let fifo = NSTemporaryDirectory() + "sluice-test-\(UUID().uuidString)"
        let words = ([Repository.binary, "publish", "--topic", "t"] + arguments + ["-"]).map { "'\($0)'" }
        return try ChildProcess(
            "sh",
            [
                "-c",
                "mkfifo \(fifo); ( \(source) ) > \(fifo) & exec 3< \(fifo); rm \(fifo); exec \(words.joined(separator: " ")) <&3 3<&-",
            ])
    }

    @Test("A limit of the node is waited for: each line is published once, in order", .timeLimit(.minutes(1)))
    func rate() async throws {
        let redis = try await RedisServer()
        let node = try await NodeProcess(redis: redis, ["--publish-rate", "700"])
        let command = try publish(
            "seq 1 \(PublishLinesTests.count)", ["--maxlen", "5000", "--url", "http://127.0.0.1:\(node.port)"])
        #expect(await command.exitCode(within: 40) == 0, "\(command.output.suffix(300))")
        #expect(try await log(redis) == (1...PublishLinesTests.count).map { "\($0)" })
        #expect(command.output.split(separator: "\n").count { $0.hasPrefix("topic:t ") } == PublishLinesTests.count)
    }

    @Test("Data that begins with a dash is published as it is", .timeLimit(.minutes(1)))
    func dash() async throws {
        let redis = try await RedisServer()
        for data in ["-5", "--- yaml"] {
            let command = try ChildProcess(
                Repository.binary, ["publish", "--topic", "t", "--redis", redis.url, data])
            #expect(await command.exitCode() == 0, "\(command.output)")
        }
        #expect(try await log(redis) == ["-5", "--- yaml"])
    }

    @Test(
        "Connections to Redis that are cut while lines are under way cost none of them, and double none",
        .timeLimit(.minutes(1)), arguments: [false, true])
    func cut(isDirect: Bool) async throws {
        let redis = try await RedisServer()
        let node = try await NodeProcess(redis: redis)
        let way = isDirect ? ["--redis", redis.url] : ["--url", "http://127.0.0.1:\(node.port)"]
        let command = try publish(
            "for i in $(seq 0 99); do seq $((i * 20 + 1)) $((i * 20 + 20)); sleep 0.02; done",
            ["--maxlen", "5000"] + way)
        #expect(await eventually { command.output.contains("topic:t") })
        while command.isRunning {
            try await redis.cli("CLIENT", "KILL", "TYPE", "normal")
            try await Task.sleep(for: .milliseconds(150))
        }
        #expect(await command.exitCode() == 0, "\(command.output.suffix(300))")
        #expect(try await log(redis) == (1...PublishLinesTests.count).map { "\($0)" })
    }

    @Test("A signal ends it between two lines, and it says where", .timeLimit(.minutes(1)))
    func signal() async throws {
        let redis = try await RedisServer()
        let node = try await NodeProcess(redis: redis)
        let command = try publish("seq 1 10; sleep 20", ["--url", "http://127.0.0.1:\(node.port)"])
        #expect(await eventually { try await log(redis).count == 10 && command.output.contains("topic:t") })
        command.signal(SIGINT)
        #expect(await command.exitCode(within: 5) == 130)
        #expect(command.output.contains("stopped by a signal; lines 1 to 10 are published"))
    }

    @Test("A server that never was there is no reason to wait", .timeLimit(.minutes(1)))
    func nobody() async throws {
        let command = try publish("seq 1 3", ["--url", "http://127.0.0.1:\(freePort())"])
        #expect(await command.exitCode(within: 10) == 1)
        #expect(command.output.contains("no line is published"))
    }

    @Test("A subscriber leaves a node that was stopped, and gets what was published meanwhile", .timeLimit(.minutes(1)))
    func stoppedNode() async throws {
        let redis = try await RedisServer()
        let node = try await NodeProcess(
            redis: redis, ["--heartbeat", "200ms", "--retry", "100ms", "--retry-spread", "0s"])
        let subscriber = try ChildProcess(
            Repository.binary,
            ["subscribe", "--topic", "t", "--silence", "1s", "--verbose", "--url", "http://127.0.0.1:\(node.port)"])
        #expect(await eventually { subscriber.output.contains("checkpoint") })
        node.signal(SIGSTOP)
        #expect(await eventually { subscriber.output.contains("nothing came for 1 s") })
        try await redis.cli("FCALL", "sluice_publish", "1", "sluice:topic:t", "meanwhile")
        node.signal(SIGCONT)
        #expect(await eventually { subscriber.output.contains("meanwhile") })
        subscriber.signal(SIGTERM)
        _ = await subscriber.exitCode()
    }
}
