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
                (["--redis-ca", "/tmp/x.pem"], "--redis-ca"), (["--redis-cert", "/tmp/x.pem"], "--redis-cert"),
                (["--redis", "redis://a", "--redis-key", "/tmp/x"], "--redis-key"),
                (["--redis", "rediss://a", "--redis-key", "/tmp/x"], "--redis-cert"),
                (["--redis", "rediss://a", "--redis-cert", "/no", "--redis-key", "/no"], "--redis-cert: /no"),
                (["--redis", "rediss://a", "--redis-ca", "/no"], "--redis-ca"),
                (["--listen", "nowhere.invalid:0", "--open"], "nowhere.invalid"),
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

        /// Whether this machine has the IPv6 loopback address.
        private var hasIPv6: Bool {
            (try? String(contentsOfFile: "/proc/net/if_inet6", encoding: .utf8))?
                .contains("00000000000000000000000000000001") == true
        }

        private func isHealthy(_ authority: String) async throws -> Bool {
            let curl = try ChildProcess(
                "curl", ["-sS", "--noproxy", "*", "-m", "10", "http://\(authority)/healthz", "-o", "/dev/null"])
            return await curl.exitCode() == 0
        }

        @Test(
            "localhost is both loopback addresses, on one port, and the ready line has them", .timeLimit(.minutes(1)))
        func localhost() async throws {
            let node = try await NodeProcess(["--listen", "localhost:0", "--admin-listen", "localhost:0"])
            let hosts = hasIPv6 ? ["127.0.0.1", "[::1]"] : ["127.0.0.1"]
            for (name, port) in [("listen", node.port), ("admin", node.adminPort)] {
                let expected = hosts.map { "\($0):\(port)" }
                #expect(node.output.contains(" \(name)=\(expected.joined(separator: ",")) "), "\(node.output)")
                for authority in expected { #expect(try await isHealthy(authority), "\(authority)") }
            }
        }

        @Test("A port that is in use on one of a name's addresses is in use", .timeLimit(.minutes(1)))
        func portInUseOnOneAddress() async throws {
            guard hasIPv6 else { return }
            let first = try await NodeProcess(["--listen", "[::1]:0"])
            #expect(first.output.contains("listen=[::1]:\(first.port) "))
            let process = try ChildProcess(
                Repository.binary, ["serve", "--listen", "localhost:\(first.port)", "--admin-listen", "off"])
            #expect(await process.exitCode() == 69)
            expectOneLine(process.output, naming: "[::1]:\(first.port)")
        }

        @Test("[::] takes IPv4, too", .timeLimit(.minutes(1)))
        func anyAddress() async throws {
            guard hasIPv6 else { return }
            let node = try await NodeProcess(["--listen", "[::]:0", "--open"])
            #expect(try await isHealthy("127.0.0.1:\(node.port)"))
            #expect(try await isHealthy("[::1]:\(node.port)"))
        }

        @Test(
            "A node whose log nobody reads serves, and ends in time", .timeLimit(.minutes(1)),
            arguments: ["text", "json"])
        func unreadLog(format: String) async throws {
            let directory = try Repository.temporaryDirectory()
            defer { try? FileManager.default.removeItem(atPath: directory) }
            let path = "\(directory)/log"
            #expect(mkfifo(path, 0o600) == 0)
            let pipe = open(path, O_RDWR | O_NONBLOCK)
            defer { close(pipe) }
            // Full before the node's first line.
            let filler = [UInt8](repeating: UInt8(ascii: "."), count: 4096)
            while write(pipe, filler, filler.count) > 0 {}
            let node = try await NodeProcess(
                ["--log-format", format, "--log-level", "trace", "--max-streams", "1", "--drain", "0s"],
                wrapper: ["bash", "-c", "exec \"$@\" 2> '\(path)'", "node"])
            let stream = try await EventStreamClient.opened(port: node.port, "/events?topic=a")
            #expect(await stream.waits { !$0.events.isEmpty })
            // Each is turned away, which is worth a line.
            for _ in 0..<20 { _ = try await request(node.port, "GET", "/events?topic=a") }
            #expect(try await request(node.port, "GET", "/healthz").status == 200)
            #expect(try await node.metric("log_lines_dropped_total{reason=\"unread\"}") == 0, "they wait")
            node.signal(SIGTERM)
            #expect(await node.exitCode() == 0)
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

        @Test("A node that takes tokens for any audience says so at the start", .timeLimit(.minutes(1)))
        func anyAudience() async throws {
            let directory = try Repository.temporaryDirectory()
            defer { try? FileManager.default.removeItem(atPath: directory) }
            try Visitor.secret.write(toFile: "\(directory)/key", atomically: true, encoding: .utf8)
            let jwt = ["--auth", "jwt", "--jwt-key", "\(directory)/key"]
            let any = try await NodeProcess(jwt)
            #expect(await eventually { any.output.contains("--jwt-audience") })
            let one = try await NodeProcess(jwt + ["--jwt-audience", "a"])
            #expect(try await request(one.port, "GET", "/healthz").status == 200)
            #expect(!one.output.contains("--jwt-audience"))
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
