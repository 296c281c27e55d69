// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import NIOCore
import SluiceClient
import SluiceCore
import SluiceWeb

/// `sluice subscribe`: an `EventSource` for the terminal.
struct Subscribe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the events of topics or of a client as they come.",
        usage: """
            sluice subscribe (--topic T | --client C)... [OPTION]...
            sluice subscribe --url URL-OF-A-STREAM [OPTION]...
            """,
        discussion: Help.text(PackageResources.subscribe_txt))

    @Option(
        help: .of("URL", "A node's address, or the whole address of any event stream. (default: http://127.0.0.1:8080)")
    )
    var url: WebAddress?
    @Option(parsing: .unconditionalSingleValue, help: .of("T", "Listen to this topic; may be given several times."))
    var topic: [String] = []
    @Option(parsing: .unconditional, help: .of("C", "Listen to what is sent to this client.")) var client: String?
    @Option(
        parsing: .unconditional,
        help: .of("ID", "Go on after this event; earliest replays the whole log, available what there is of it."))
    var lastEventID: String?
    @Option(help: .of("JWT", "Sent as a bearer token. (default: $SLUICE_TOKEN)")) var token: String?
    @Option(help: .of("NAME: VALUE", "A header for the request; may be given several times."))
    var header: [HeaderField] = []
    @Option(help: .of("FILE", "Certificates (PEM) to trust for https://.")) var ca: String?
    @Flag(help: "One JSON object a line: {\"type\":…,\"id\":…,\"data\":…}.") var json = false
    @Option(
        help: .of(
            "D",
            "Come back when nothing came for so long, not even a comment: the server may have been stopped; 0s: wait for ever."
        ))
    var silence = DurationArgument(seconds: 60)
    @Option(help: .of("N", "Stop after so many events.")) var count: Int?
    @Flag(name: .shortAndLong, help: "Show checkpoints, and on standard error connections, comments and retry.")
    var verbose = false

    func validate() throws {
        try refuse("the topic") { for topic in topic { _ = try Target.topic(topic) } }
        try refuse("the client") { _ = try client.map { try Target.client($0) } }
        try refuse(
            topic.isEmpty && client == nil && url?.hasNoPath ?? true,
            "give --topic or --client, or the whole address of a stream with --url")
        try refuse(count ?? 1 < 1, "--count takes 1 or more")
        let isClean = (lastEventID ?? "").utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
        try refuse(!isClean, "--last-event-id has a control character")
    }

    func run() async throws {
        let source = try EventSource(
            url?.text ?? "http://127.0.0.1:8080", topics: topic, client: client, lastEventID: lastEventID,
            headers: header.map { ($0.name, $0.value) }, token: token ?? Environment.token,
            silence: Duration(silence.amount), certificateAuthority: ca)
        let printer = EventPrinter(isJSON: json, isTerminal: StandardStream.output.isTerminal)
        var printed = 0
        for try await update in source.updates() {
            guard case .event(let event) = update else {
                remark(update, source)
                continue
            }
            if event.type == "gap" { StandardStream.note("events were lost: \(event.data)") }
            if event.type == "checkpoint", !verbose { continue }
            // Nobody reads any more, as `head` when it has enough.
            do { try StandardStream.output.write(printer.text(event)) } catch { return }
            // What the gateway says itself is not counted.
            if !["checkpoint", "gap", "pause"].contains(event.type) { printed += 1 }
            if let count, printed >= count { return }
        }
        note("204: the server has nothing more for us")
    }

    /// What is not an event goes to standard error, and only if it is news or asked for.
    private func remark(_ update: EventSourceUpdate, _ source: EventSource) {
        switch update {
        case .event: break
        case .opened(let node, let endsOutage):
            note("connected\(node.map { " to node \($0)" } ?? "")", isNews: endsOutage)
        case .retry(let milliseconds): note("retry \(milliseconds) ms")
        case .comment(let text): note("comment\(text.isEmpty ? "" : ":")\(text)")
        case .disconnected(let failure, let wait, let isNews):
            let reason = isNews ? failure.map { "\(source): \($0)" } : nil
            note("\(reason ?? "the stream ended"); again in \(Int(wait / .milliseconds(1))) ms", isNews: isNews)
        }
    }

    private func note(_ text: String, isNews: Bool = false) {
        if isNews || verbose { StandardStream.note(text) }
    }
}
