// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import NIOCore
import NIOHTTP1
import NIOPosix
import SluiceWeb

/// `sluice health`: whether a node answers, for a container's health check, where there is no curl.
struct Health: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask a node whether it lives, or is ready.", discussion: Help.text(PackageResources.health_txt))

    /// What is standard for `--admin-listen`.
    private static let standard = "http://127.0.0.1:9090/healthz"

    @Argument(help: .of("URL", "What to ask. (default: \(standard))"))
    var url: WebAddress?
    @Option(help: .of("D", "How long to wait for the answer.")) var timeout = DurationArgument(seconds: 2)

    func validate() throws {
        try refuse(timeout.amount <= .zero, "--timeout takes a time, as 2s")
    }

    func run() async throws {
        guard let url = url ?? WebAddress(Health.standard) else { return }
        let reply: WebConnection.Reply
        do {
            reply = try await ask(url)
        } catch { throw Failure("\(url): \(NetworkError.reason(error))") }
        let text = String(buffer: reply.body).prefix { !$0.isNewline }
        guard reply.status == .ok else { throw Failure("\(url): \(reply.status.code), \(text)") }
        try StandardStream.output.write("\(text)\n")
    }

    private func ask(_ url: WebAddress) async throws -> WebConnection.Reply {
        let dialer = try WebDialer(url, connectTimeout: timeout.amount)
        let limits = WebConnection.Limits(bodyBytesMax: 1 << 16, replyTimeout: timeout.amount)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        return try await WebConnection.connect(dialer, on: loop, limits: limits).flatMap { connection in
            connection.value.get(url.target, headers: ["Host": url.hostHeader, "Connection": "close"])
        }.get()
    }
}
