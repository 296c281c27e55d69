// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import NIOCore
import NIOPosix
import SluiceCore
import SluiceGateway

/// `sluice subscribe`: an `EventSource` for the terminal.
struct Subscribe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the events of topics or of a client as they come.",
        usage: """
            sluice subscribe (--topic T | --client C)... [OPTION]...
            sluice subscribe --url URL-OF-A-STREAM [OPTION]...
            """,
        discussion: """
            Prints an event's type, its id (- if it has none) and its data; data of several lines below, indented.

            Behaves like a browser's EventSource: when the connection is lost or ends it waits as long as the stream's \
            retry: says and comes back with Last-Event-ID, so that no logged event is missed; if some are lost all the \
            same, a gap is shown. 204 ends it with exit code 0, any other answer with 1. Ctrl-C ends it.

            EXAMPLES
              sluice subscribe --topic news
              sluice subscribe --topic orders.42 --topic orders.43 --client ann --json
              sluice subscribe --topic job.7 --last-event-id earliest
              sluice subscribe --topic news --count 1 --json | jq -r .data
              sluice subscribe --url 'https://example.org/sse?client_id=ann'
            """)

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
    var header: [HeaderArgument] = []
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
        guard let address = address() else { throw Failure("the address can't be used") }
        var headers = header
        if let token = token ?? Environment.token,
            let header = HeaderArgument(argument: "Authorization: Bearer \(token)")
        {
            headers.append(header)
        }
        let plan = Subscriber.Plan(
            dialer: try WebDialer(address, certificateAuthority: ca), headers: headers,
            lastEventID: lastEventID == "earliest" ? "" : lastEventID ?? "", silence: silence.amount, isJSON: json,
            isVerbose: verbose,
            count: count)
        try await Subscriber.run(plan, on: MultiThreadedEventLoopGroup.singleton.next()).get()
    }

    /// `earliest` goes into the query: the header that a reconnect brings wins over it, so it counts for the first
    /// connection only.
    private func address() -> WebAddress? {
        guard var address = url ?? WebAddress("http://127.0.0.1:8080") else { return nil }
        if address.hasNoPath { address.target = "/events" }
        var fields = topic.map { "topic=\(PercentEncoding.encode($0))" }
        if let client { fields.append("client=\(PercentEncoding.encode(client))") }
        if lastEventID == "earliest" { fields.append("last_event_id=earliest") }
        guard !fields.isEmpty else { return address }
        address.target += (address.target.contains("?") ? "&" : "?") + fields.joined(separator: "&")
        return address
    }
}
