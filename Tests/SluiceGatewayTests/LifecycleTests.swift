// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("starts and ends")
    struct LifecycleTests {
        @Test(
            "SIGTERM ends every stream cleanly within the drain time, then the node exits with 0",
            .timeLimit(.minutes(1)), arguments: Stage.all)
        func drain(stage: Stage) async throws {
            let test = try await TestNode.start(stage, ["--drain", "2s"])
            var streams: [EventStreamClient] = []
            for number in 0..<8 { streams.append(try await test.stream("/events?client=c\(number)")) }
            for stream in streams { #expect(await stream.waits { !$0.events.isEmpty }) }
            test.node.signal(SIGTERM)
            #expect(await eventually { try await test.request("GET", "/readyz").status == 503 })
            // Who comes now is sent away as EventSource needs it; who publishes is served.
            let late = try await test.request("GET", "/events?topic=a")
            #expect(late.status == 200 && late.text.hasPrefix("retry: "))
            try await test.publish(#"{"topic":"a","data":"x"}"#)
            #expect(await test.node.exitCode() == 0)
            for stream in streams {
                #expect(await stream.waits { $0.isOver })
                #expect(stream.now.cleanEnds == 1)
                #expect(stream.now.retries.count == 2)
                #expect(stream.now.failure == nil)
            }
        }

        @Test("SIGINT drains too, and a node without streams ends at once", .timeLimit(.minutes(1)))
        func interrupt() async throws {
            let node = try await NodeProcess(["--drain", "1h"])
            node.signal(SIGINT)
            #expect(await node.exitCode() == 0)
        }

        @Test("A second signal ends the drain at once", .timeLimit(.minutes(1)), arguments: [SIGTERM, SIGINT])
        func secondSignal(signal: Int32) async throws {
            let node = try await NodeProcess(["--drain", "1h"])
            let stream = try await EventStreamClient.opened(port: node.port, "/events?topic=a")
            node.signal(SIGTERM)
            #expect(await eventually { node.output.contains("draining") })
            #expect(node.isRunning)
            node.signal(signal)
            #expect(await node.exitCode() != nil)
            #expect(await stream.waits { $0.isOver })
        }

        @Test(
            "Bad settings stop the start with one line that names the setting, and with 64",
            .timeLimit(.minutes(2)),
            arguments: [
                (["--listen", "nowhere"], "--listen"), (["--listen", "127.0.0.1:70000"], "--listen"),
                (["--unknown", "1"], "--unknown"), (["--heartbeat", "15"], "--heartbeat"),
                (["--heartbeat"], "--heartbeat"), (["--ring", "1KiB"], "--ring"), (["--threads", "-1"], "--threads"),
                (["--redis", "http://a"], "--redis"), (["--prefix", "a b"], "--prefix"),
                (["--prefix", "a:topic:b"], "--prefix"), (["--node-id", "ä"], "--node-id"),
                (["--auth", "none"], "--auth"), (["--listen", "0.0.0.0:0"], "--open"),
                (["--log-level", "loud"], "--log-level"), (["--config", "/does/not/exist"], "--config"),
                (["stray"], "stray"), (["--drain", "1s", "--drain", "2s"], "--drain"),
                (["--redis-ca", "/tmp/x.pem"], "--redis-ca"),
            ])
        func badSettings(arguments: [String], name: String) async throws {
            let process = try ChildProcess(Repository.binary, ["serve"] + arguments)
            #expect(await process.exitCode() == 64)
            expectOneLine(process.output, naming: name)
        }

        private func expectOneLine(_ output: String, naming name: String) {
            let lines = output.split(separator: "\n", omittingEmptySubsequences: false)
            #expect(lines.count == 2 && lines.last == "", "\(output)")
            #expect(output.contains(name), "\(output)")
        }

        @Test("A bad variable and a bad key of the file are named in one line too", .timeLimit(.minutes(1)))
        func badEnvironmentAndFile() async throws {
            let directory = try Repository.temporaryDirectory()
            defer { try? FileManager.default.removeItem(atPath: directory) }
            let cases: [(environment: [String: String], file: String, name: String)] = [
                (["SLUICE_HEARTBEATS": "1s"], "", "SLUICE_HEARTBEATS"), (["SLUICE_RING": "big"], "", "SLUICE_RING"),
                ([:], "hart-beat: 1s\n", "hart-beat"), ([:], "heartbeat: soon\n", "heartbeat"),
                ([:], "heartbeat: [1s]\n", "heartbeat"), ([:], "- a\n", "--config"), ([:], "a: b: c\n", "--config"),
                ([:], "listen: 127.0.0.1:0\nlisten: 127.0.0.1:1\n", "--config"),
            ]
            for (number, test) in cases.enumerated() {
                let path = "\(directory)/\(number).yaml"
                try test.file.write(toFile: path, atomically: true, encoding: .utf8)
                let process = try ChildProcess(
                    Repository.binary, ["serve", "--config", path], environment: test.environment)
                #expect(await process.exitCode() == 64, "\(test.name)")
                expectOneLine(process.output, naming: test.name)
            }
        }

        @Test("A password is not printed, also where its URL is wrong", .timeLimit(.minutes(1)))
        func passwordStaysSecret() async throws {
            let process = try ChildProcess(
                Repository.binary, ["serve", "--redis", "redis://user:hunter2@host:port/x"])
            #expect(await process.exitCode() == 64)
            expectOneLine(process.output, naming: "--redis")
            #expect(!process.output.contains("hunter2"))
        }

        @Test(
            "A port in use stops the start with one line and 69, whoever has it",
            .timeLimit(.minutes(1)), arguments: ["--listen", "--admin-listen"])
        func portInUse(flag: String) async throws {
            let sluice = try await NodeProcess()
            let redis = try await RedisServer()
            for port in [sluice.port, sluice.adminPort, redis.port] {
                var arguments = ["serve", flag, "127.0.0.1:\(port)"]
                arguments += [flag == "--listen" ? "--admin-listen" : "--listen", "127.0.0.1:0"]
                let process = try ChildProcess(Repository.binary, arguments)
                #expect(await process.exitCode() == 69)
                expectOneLine(process.output, naming: "127.0.0.1:\(port)")
            }
            #expect(try await request(sluice.port, "GET", "/healthz").status == 200)
        }

        @Test("The ready line says where the node listens and what it stands on", .timeLimit(.minutes(1)))
        func readyLine() async throws {
            let memory = try await NodeProcess(["--admin-listen", "off", "--node-id", "me-1"])
            #expect(
                memory.output.contains(
                    "sluice ready listen=127.0.0.1:\(memory.port) admin=off node=me-1 broker=memory\n"),
                "\(memory.output)")
            let redis = try await RedisServer()
            let other = try await NodeProcess(redis: redis)
            #expect(other.output.contains(/sluice ready listen=\S+ admin=\S+ node=\S+ broker=redis\n/))
            #expect(other.id != memory.id && !other.id.isEmpty)
        }

        @Test("Open mode says so at the start, louder where strangers can come", .timeLimit(.minutes(1)))
        func openMode() async throws {
            let local = try await NodeProcess()
            #expect(await eventually { local.output.contains("open mode") })
            let wide = try await NodeProcess(["--listen", "0.0.0.0:0", "--open"])
            #expect(await eventually { wide.output.contains("anybody") })
            #expect(try await request(wide.port, "GET", "/healthz").status == 200)
        }

        @Test("serve --help names every setting and ends with 0", .timeLimit(.minutes(1)))
        func help() async throws {
            let process = try ChildProcess(Repository.binary, ["serve", "--help"])
            #expect(await process.exitCode() == 0)
            for flag in ["--listen", "--redis", "--heartbeat", "--max-event", "--config", "SLUICE_ADMIN_LISTEN"] {
                #expect(process.output.contains(flag), "\(flag)")
            }
        }
    }
}
