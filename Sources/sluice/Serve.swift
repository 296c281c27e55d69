// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import Logging
import NIOCore
import SluiceGateway
import SluiceRedis
import UnixSignals

/// `sluice serve`: one node, until a signal ends it.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a gateway node.", discussion: "sluice serve --help lists the settings.")

    /// Read by ``SettingsSource``, which knows the same names in the environment and in the file.
    @Argument(parsing: .captureForPassthrough, help: .hidden)
    var settings: [String] = []

    /// How long the end waits for whoever reads the log.
    private static let lastWords = Duration.seconds(1)

    func run() async throws {
        if settings.contains("--help") || settings.contains("-h") {
            return print(Help.text(PackageResources.serve_txt) + "\n" + SettingTable.help)
        }
        let loaded: Settings
        do {
            loaded = try SettingsSource(arguments: settings, environment: Environment.all) {
                String(decoding: try FileContent.bytes(ofFile: $0), as: UTF8.self)
            }.load()
        } catch {
            StandardStream.note("\(error)")
            throw ExitCode.validationFailure
        }
        let counters = Counters()
        let log = LogOutput(descriptor: STDERR_FILENO, format: loaded.logFormat, counters: counters)
        let logger = Logger(label: "sluice") { _ in
            LineLogHandler(level: loaded.logLevel, output: log, clock: { .now() })
        }
        var end: (line: String, code: ExitCode)?
        do { try await serve(loaded, counters: counters, logger: logger) } catch { end = Serve.explained(error) }
        await log.finish(within: Serve.lastWords)
        guard let end else { return }
        StandardStream.note(end.line)
        throw end.code
    }

    /// Why the node does not start: the last line of its log, and the exit code as in sysexits.h.
    private static func explained(_ error: any Error) -> (line: String, code: ExitCode) {
        switch error {
        case let error as Listener.PortInUse:
            ("port in use: \(error.address) is taken by another process", ExitCode(69))
        case is ListenAddress.Unresolved, is TLSFiles.Unusable, is TokenVerifier.Failure:
            ("\(error)", .validationFailure)
        default: ("can't start: \(error)", .failure)
        }
    }

    private func serve(_ loaded: Settings, counters: Counters, logger: Logger) async throws {
        let gateway = try await Gateway.start(loaded, counters: counters, logger: logger)
        // Each has one reader; both see every signal.
        let first = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let second = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        print(gateway.readyLine)
        fflush(nil)
        switch loaded.auth {
        case .jwt where loaded.jwtAudiences.isEmpty:
            logger.warning(
                "tokens for any audience are taken, so also those that were made for other services with the same keys",
                metadata: ["setting": "--jwt-audience"])
        case .jwt: break
        case .open where loaded.listen.isLoopback && !loaded.isOpen: logger.info("open mode, on a loopback address")
        case .open: logger.warning("open mode: anybody who reaches this node may subscribe and publish")
        }
        await Serve.serve(gateway, until: first)
        await Serve.drain(gateway, until: second)
        await gateway.stop()
    }

    /// Until the first signal to end; SIGHUP has the certificates read anew, which is also done when their files change.
    private static func serve(_ gateway: Gateway, until first: UnixSignalsSequence) async {
        let reloads = await UnixSignalsSequence(trapping: .sighup)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in reloads { gateway.reloadCertificates() } }
            group.addTask { await gateway.housekeep() }
            for await _ in first { break }
            group.cancelAll()
        }
    }

    /// The first signal drains, a second one ends the drain.
    private static func drain(_ gateway: Gateway, until second: UnixSignalsSequence) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await gateway.drain() }
            group.addTask {
                var iterator = second.makeAsyncIterator()
                _ = await iterator.next()  // the one that began the drain
                _ = await iterator.next()
            }
            await group.next()
            group.cancelAll()
        }
    }
}
