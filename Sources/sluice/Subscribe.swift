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
        discussion: Help.subscribe)

    @Option(
        help: ArgumentHelp(
            "A node's address, or the whole address of any event stream. (default: http://127.0.0.1:8080)",
            valueName: "URL"))
    var url: WebAddress?
    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Listen to this topic; may be given several times.", valueName: "T")
    )
    var topic: [String] = []
    @Option(parsing: .unconditional, help: ArgumentHelp("Listen to what is sent to this client.", valueName: "C"))
    var client: String?
    @Option(
        name: .customLong("last-event-id"), parsing: .unconditional,
        help: ArgumentHelp(
            "Go on after this event; earliest replays the whole log, available what there is of it.", valueName: "ID"))
    var lastEventID: String?
    @Option(help: ArgumentHelp("Sent as a bearer token. (default: $SLUICE_TOKEN)", valueName: "JWT"))
    var token: String?
    @Option(help: ArgumentHelp("A header for the request; may be given several times.", valueName: "NAME: VALUE"))
    var header: [HeaderField] = []
    @Option(help: ArgumentHelp("Certificates (PEM) to trust for https://.", valueName: "FILE"))
    var ca: String?
    @Flag(help: "One JSON object a line: {\"type\":…,\"id\":…,\"data\":…}.")
    var json = false
    @Option(
        help: ArgumentHelp(
            "Come back when nothing came for so long, not even a comment: the server may have been stopped; 0s: wait for ever.",
            valueName: "D"))
    var silence = DurationArgument(seconds: 60)
    @Option(help: ArgumentHelp("Stop after so many events.", valueName: "N"))
    var count: Int?
    @Flag(name: .shortAndLong, help: "Show checkpoints, and on standard error connections, comments and retry.")
    var verbose = false

    /// Events of the gateway itself: they don't count as events.
    private static let ownTypes: Set<String> = ["checkpoint", "gap", "pause"]

    func validate() throws {
        for topic in topic {
            do { _ = try Target.topic(topic) } catch { throw ValidationError("the topic \(error)") }
        }
        if let client {
            do { _ = try Target.client(client) } catch { throw ValidationError("the client \(error)") }
        }
        if topic.isEmpty, client == nil, url?.hasNoPath ?? true {
            throw ValidationError("give --topic or --client, or the whole address of a stream with --url")
        }
        if let count, count < 1 { throw ValidationError("--count takes 1 or more") }
        if let lastEventID, !lastEventID.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) {
            throw ValidationError("--last-event-id has a control character")
        }
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
            if !Subscribe.ownTypes.contains(event.type) { printed += 1 }
            if let count, printed >= count { return }
        }
        if verbose { StandardStream.note("204: the server has nothing more for us") }
    }

    /// What is not an event goes to standard error, and only if it is news or asked for.
    private func remark(_ update: EventSourceUpdate, _ source: EventSource) {
        switch update {
        case .event: break
        case .opened(let node, let endsOutage):
            if endsOutage || verbose { StandardStream.note("connected\(node.map { " to node \($0)" } ?? "")") }
        case .retry(let milliseconds):
            if verbose { StandardStream.note("retry \(milliseconds) ms") }
        case .comment(let text):
            if verbose { StandardStream.note("comment\(text.isEmpty ? "" : ":")\(text)") }
        case .disconnected(let failure, let wait, let isNews):
            let again = "again in \(Int(wait / .milliseconds(1))) ms"
            if let failure, isNews {
                StandardStream.note("\(source): \(failure); \(again)")
            } else if verbose {
                StandardStream.note("the stream ended; \(again)")
            }
        }
    }
}
