// SPDX-License-Identifier: Apache-2.0

/// The lines of an event stream that the gateway itself writes, as text.
///
/// What browsers force on each of them is in the comments; WHATWG HTML, "Server-sent events", rules.
package enum ControlBlock {
    /// The first bytes of every stream. No blank line: some clients would deliver an empty message.
    /// The comment is there because Firefox opens only at the first byte of the body.
    package static func prelude(retryMilliseconds: Int64) -> String {
        "retry: \(retryMilliseconds)\n:\n"
    }

    /// Takes effect at once, also at the end of a stream.
    package static func retry(milliseconds: Int64) -> String {
        "retry: \(milliseconds)\n"
    }

    /// The last of a stream whose client is to come back later. `retry` says the same to a browser without any script.
    ///
    /// - Parameters:
    ///   - end: when to come back, in milliseconds since 1970.
    ///   - seconds: how long that is.
    package static func pause(until end: UInt64, seconds: Int) -> String {
        "event: pause\ndata: \(end)\n\n" + retry(milliseconds: Int64(seconds) * 1000)
    }

    package static let heartbeat = ":\n"

    /// Moves the client's last event id without an event that `onmessage` sees. The empty data line is needed:
    /// Firefox and Safari forget an id that comes without data.
    package static func checkpoint(_ cursor: Cursor) -> String {
        "event: checkpoint\nid: \(cursor)\ndata:\n\n"
    }

    /// Events between the two ids are lost and can't be replayed; both nil for the loss of live-only events.
    ///
    /// - Parameter id: carried as `id:` where it does not make the stream's cursor go back.
    package static func gap(from: EventID?, to: EventID?, targets: [Target], id: Cursor?) -> String {
        let names = targets.map { JSONText.quoted($0.description) }.joined(separator: ",")
        let line = id.map { "id: \($0)\n" } ?? ""
        return
            "event: gap\n\(line)data: {\"from\":\"\(from?.description ?? "")\",\"to\":\"\(to?.description ?? "")\",\"topics\":[\(names)]}\n\n"
    }
}
