// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import SluiceClient
import SluiceWeb

/// `sluice nodes`: all nodes of the deployment, and how they are.
struct Nodes: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show all nodes of the deployment, and how they are.", usage: "sluice nodes [OPTION]...",
        discussion: Help.text(PackageResources.nodes_txt))

    @Option(help: .of("URL", "The admin listener of any node. (default: http://127.0.0.1:9090)")) var url: WebAddress?
    @Option(help: .of("FILE", "Certificates (PEM) to trust for https://.")) var ca: String?
    @Flag(help: "The node's answer, as it is.") var json = false

    func run() async throws {
        let address = url ?? WebAddress("http://127.0.0.1:9090")
        guard let address else { throw ValidationError("--url is no address") }
        let query = try NodeQuery(address, token: nil, certificateAuthority: ca)
        let (text, members) = try await query.get("/nodes")
        guard let lines = NodeLine.lines(members) else { throw Failure("\(address) gave an answer that is not known") }
        for line in json ? [text] : lines.map(\.description) { try StandardStream.output.write(line + "\n") }
        let sick = lines.count { !$0.isWell }
        if sick > 0 { throw Failure("\(sick) of \(lines.count) nodes take no new streams") }
    }
}
