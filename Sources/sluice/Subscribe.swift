// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import SluiceCore

/// `sluice subscribe`: an `EventSource` for the terminal.
struct Subscribe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print events as they come.",
        discussion: """
            Behaves like a browser's EventSource: when the connection ends it waits as long as the server's "retry" \
            says and connects again, for ever, with the id of the last event, so that nothing is missed. Only an \
            answer other than 200 ends it; 204 says that there is nothing more to come.

            One line for each event: its id ("-" if it has none), its type, its data; further lines of the data are \
            indented. With --json one object a line: {"id":…,"type":…,"data":…,"last_event_id":…}.

            Examples:
              sluice subscribe --topic news
              sluice subscribe --topic news --topic orders.42 --client alice --json
              sluice subscribe --topic job.7 --last-event-id earliest
              sluice subscribe --url https://example.org/any/event-stream

            Exit code: 0 after --count events or a 204, 1 if the server refuses, 64 for bad usage.
            """)

    @Option(
        help: ArgumentHelp(
            "A node, or the load balancer. Without --topic and --client: any event stream's URL, taken as it is.",
            valueName: "url"))
    var url: HTTPURL = HTTPURL.local

    @Option(help: ArgumentHelp("A topic to listen to; may be repeated.", valueName: "topic"))
    var topic: [String] = []

    @Option(help: ArgumentHelp("The client to be.", valueName: "client"))
    var client: String?

    @Option(
        help: ArgumentHelp("Begin after this event; \"earliest\" replays the whole log.", valueName: "id"))
    var lastEventId = ""

    @Option(help: ArgumentHelp("Sent as Authorization: Bearer.", valueName: "jwt"))
    var token: String?

    @Flag(help: "One JSON object a line.")
    var json = false

    @Option(help: ArgumentHelp("Stop after so many events.", valueName: "n"))
    var count: Int?

    @Flag(help: "Also show connections, checkpoints, \"retry\" and comments, on standard error.")
    var verbose = false

    func validate() throws {
        if topic.isEmpty, client == nil, url.target == "/" {
            throw ValidationError("give a --topic or a --client, or the URL of an event stream")
        }
        if let count, count < 1 { throw ValidationError("--count takes a number from 1 on") }
        if lastEventId.utf8.contains(where: { $0 < 0x20 || $0 > 0x7E }) {
            throw ValidationError("--last-event-id takes printable ASCII")
        }
    }

    func run() async throws {
        var stream = url
        if !topic.isEmpty || client != nil {
            var query = topic.map { (name: "topic", value: $0) }
            if let client { query.append((name: "client", value: client)) }
            stream = url.appending(path: "/events").appending(query: query)
        }
        let printer = EventPrinter(isJSON: json, isVerbose: verbose, countMax: count)
        let source = EventSource(url: stream, token: token, printer: printer, lastEventID: lastEventId)
        do {
            try await source.run()
        } catch is Console.OutputClosed {
            throw ExitCode.failure
        } catch {
            Console.complain("\(error)")
            throw ExitCode.failure
        }
    }
}
