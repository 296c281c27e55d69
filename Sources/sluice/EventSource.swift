// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore

/// Connects, reads, and connects again: the part of WHATWG's `EventSource` that is about time.
struct EventSource: Sendable {
    /// The server answered something that makes an `EventSource` give up.
    struct Refused: Error, CustomStringConvertible {
        let description: String
    }

    /// What one connection leaves to the next.
    private struct Progress: Sendable {
        var retry = TimeAmount.seconds(3)
        var lastEventID: String
        var printer: EventPrinter
        /// Why the connection ended; nil if all is done.
        var ending: String?
        var wasOpen = false
    }

    private let url: HTTPURL
    private let token: String?
    private let printer: EventPrinter
    private let lastEventID: String

    init(url: HTTPURL, token: String?, printer: EventPrinter, lastEventID: String) {
        self.url = url
        self.token = token
        self.printer = printer
        self.lastEventID = lastEventID
    }

    /// Returns when the server says that nothing more will come, or when all that was asked for is printed.
    func run() async throws {
        var progress = Progress(lastEventID: lastEventID, printer: printer)
        var isOutage = false
        while true {
            progress = try await connect(progress)
            guard let ending = progress.ending else { return }
            // A reconnect after a stream's end is everyday life; that there is no server is worth one line.
            let line = "\(ending); connecting again in \(progress.retry.nanoseconds / 1_000_000) ms"
            if progress.wasOpen || isOutage { progress.printer.note(line) } else { Console.complain(line) }
            isOutage = !progress.wasOpen
            try await Task.sleep(nanoseconds: UInt64(max(0, progress.retry.nanoseconds)))
        }
    }

    /// One connection from its request to its end.
    private func connect(_ start: Progress) async throws -> Progress {
        var headers = [("Accept", "text/event-stream"), ("Cache-Control", "no-store")]
        headers += HTTPExchange.authorization(token)
        if !start.lastEventID.isEmpty { headers.append(("Last-Event-ID", start.lastEventID)) }
        var progress = start
        progress.wasOpen = false
        do {
            return try await HTTPExchange(url: url, headers: headers).perform { [progress] head, body in
                var result = progress
                guard try await isStream(head, &body) else {
                    result.ending = nil
                    return result
                }
                result.wasOpen = true
                result.printer.note("connected to \(url)")
                try await read(&body, &result)
                return result
            }
        } catch let error as Refused {
            throw error
        } catch let error as Console.OutputClosed {
            throw error
        } catch let error as EventStreamParser.TooLong {
            throw error
        } catch {
            progress.ending = "not connected to \(url): \(Console.reason(of: error))"
            return progress
        }
    }

    /// - Returns: false for 204, which says that the stream is over for good.
    private func isStream(_ head: HTTPResponseHead, _ body: inout HTTPExchange.Body) async throws -> Bool {
        if head.status == .noContent { return false }
        guard head.status == .ok else {
            let text = try await body.text(bytesMax: 65_536)
            throw Refused(description: "\(url) answered \(HTTPExchange.problem(status: head.status, body: text))")
        }
        let type = head.headers.first(name: "content-type") ?? ""
        let essence = type.split(separator: ";").first?.lowercased().filter { $0 != " " }
        guard essence == "text/event-stream" else {
            throw Refused(
                description: "\(url) is not an event stream: Content-Type \(type.isEmpty ? "is missing" : type)")
        }
        return true
    }

    private func read(_ body: inout HTTPExchange.Body, _ progress: inout Progress) async throws {
        var parser = EventStreamParser(lastEventID: progress.lastEventID)
        progress.ending = "the stream ended"
        while true {
            let piece: ByteBuffer?
            do { piece = try await body.next() } catch {
                // What was read counts: the next connection goes on from there.
                progress.ending = "the connection was lost: \(Console.reason(of: error))"
                return
            }
            guard let piece else { return }
            var text = ""
            var outputs: [EventStreamParser.Output] = []
            try parser.read(piece) { outputs.append($0) }
            for output in outputs {
                if case .retry(let milliseconds) = output {
                    progress.retry = .milliseconds(min(milliseconds, 86_400_000))
                }
                text += progress.printer.text(output)
                if progress.printer.isDone { break }
            }
            try Console.print(text)
            progress.lastEventID = parser.lastEventID
            if progress.printer.isDone {
                progress.ending = nil
                return
            }
        }
    }
}
