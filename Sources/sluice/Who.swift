// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import SluiceClient
import SluiceCore
import SluiceWeb

/// `sluice who`: which nodes have streams of a client or a topic.
struct Who: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show how many streams a client or a topic has, and on which nodes.",
        usage: "sluice who (--client C | --topic T) [OPTION]...", discussion: Help.text(PackageResources.who_txt))

    @Option(parsing: .unconditional, help: .of("C", "The streams of this client.")) var client: String?
    @Option(parsing: .unconditional, help: .of("T", "The streams that listen to this topic.")) var topic: String?
    @Option(help: .of("URL", "Any node's address. (default: http://127.0.0.1:8080)")) var url: WebAddress?
    @Option(help: .of("JWT", "Sent as a bearer token. (default: $SLUICE_TOKEN)")) var token: String?
    @Option(help: .of("FILE", "Certificates (PEM) to trust for https://.")) var ca: String?
    @Flag(help: "The node's answer, as it is.") var json = false

    func validate() throws {
        try refuse((client == nil) == (topic == nil), "give --client or --topic")
        _ = try target()
    }

    private func target() throws -> Target {
        do {
            if let client { return try .client(client) }
            return try .topic(topic ?? "")
        } catch { throw ValidationError("the \(client == nil ? "topic" : "client") \(error)") }
    }

    func run() async throws {
        let address = url ?? WebAddress("http://127.0.0.1:8080")
        guard let address else { throw ValidationError("--url is no address") }
        let target = try target()
        let query = try NodeQuery(address, token: token ?? Environment.token, certificateAuthority: ca)
        let (text, members) = try await query.get(Attendance.path(target))
        guard let attendance = Attendance(members) else { throw Failure("\(address) gave an answer that is not known") }
        if json {
            try StandardStream.output.write(text + "\n")
        } else {
            try StandardStream.output.write("\(target) streams=\(attendance.streams)\n")
            for (node, streams) in attendance.nodes { try StandardStream.output.write("\(node) \(streams)\n") }
        }
        if !attendance.isComplete { throw Failure("not every node has answered: there may be more") }
    }
}
