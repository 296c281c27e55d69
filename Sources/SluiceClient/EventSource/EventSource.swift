// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import SluiceCore
import SluiceWeb

/// The events of a stream, as a browser's `EventSource` gives them: any server's, not only a Sluice's.
///
///     for try await event in try EventSource("https://example.org/events", topics: ["news"]) {
///         print(event.type, event.data)
///     }
///
/// When the connection is lost or ends it waits as long as the stream's `retry:` says (3 s until it says something), and
/// comes back with the last event's id, so that no event is missed that the server keeps. Answer 204 ends the sequence;
/// any other answer that is no stream fails it with ``ClientError``. Each iteration is a subscription of its own, which
/// ends with it. A reader that is slow holds the server back.
public struct EventSource: AsyncSequence, Sendable, CustomStringConvertible {
    let plan: StreamReader.Plan

    /// - Parameters:
    ///   - url: `http://` or `https://`. An address without a path is a Sluice's, whose streams are at `/events`.
    ///   - topics: what a Sluice is asked for, in the address's query.
    ///   - client: the client whose events a Sluice is asked for.
    ///   - lastEventID: go on after this event. A Sluice also knows `earliest`, all that its logs have, and `available`, what
    ///     there is of it; these words count for the first connection only.
    ///   - headers: replace ours, but for `Last-Event-ID`.
    ///   - token: sent as a bearer token.
    ///   - silence: a connection over which nothing came for so long, not even a comment, is given up: its server may have
    ///     been stopped, or its cable pulled out. Zero: never.
    ///   - certificateAuthority: a PEM file of certificates to trust; nil trusts what the system trusts.
    /// - Throws: ``ClientError`` for what is no address or no header, and for certificates that can't be read.
    public init(
        _ url: String, topics: [String] = [], client: String? = nil, lastEventID: String? = nil,
        headers: [(name: String, value: String)] = [], token: String? = nil, silence: Duration = .seconds(60),
        certificateAuthority: String? = nil
    ) throws(ClientError) {
        guard var address = WebAddress(url) else { throw ClientError("\"\(url)\" is no http:// address") }
        if address.hasNoPath { address.target = "/events" }
        // The header that a reconnect brings wins over the query.
        let isWord = lastEventID == "earliest" || lastEventID == "available"
        var fields = topics.map { ("topic", $0) }
        if let client { fields.append(("client", client)) }
        if isWord, let lastEventID { fields.append(("last_event_id", lastEventID)) }
        if !fields.isEmpty {
            address.target += address.target.contains("?") ? "&" : "?"
            address.target += fields.map { "\($0)=\(PercentEncoding.encode($1))" }.joined(separator: "&")
        }
        let login = token.map { [("Authorization", "Bearer \($0)")] } ?? []
        var checked: [HeaderField] = []
        for (name, value) in headers + login {
            guard let field = HeaderField("\(name): \(value)") else {
                throw ClientError("\(name) can't be sent: it has a control character, or no name")
            }
            checked.append(field)
        }
        do {
            plan = StreamReader.Plan(
                dialer: try WebDialer(address, certificateAuthority: certificateAuthority), headers: checked,
                lastEventID: isWord ? "" : lastEventID ?? "", silence: TimeAmount(silence))
        } catch { throw ClientError(error.description) }
    }

    /// The stream's address, without the query, which may hold a token.
    public var description: String { "\(plan.dialer.address)" }

    /// Begins a subscription, and tells all that happens to it, its events among it.
    public func updates() -> some AsyncSequence<EventSourceUpdate, any Error> {
        StreamReader.updates(plan, on: MultiThreadedEventLoopGroup.singleton.next())
    }

    public func makeAsyncIterator() -> AsyncIterator {
        let updates = StreamReader.updates(plan, on: MultiThreadedEventLoopGroup.singleton.next())
        return AsyncIterator(updates: updates.makeAsyncIterator())
    }

    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate var updates: StreamReader.Producer.AsyncIterator

        /// The next event; nil when the server has no more for us.
        public mutating func next() async throws -> ServerSentEvent? {
            while let update = try await updates.next() {
                if case .event(let event) = update { return event }
            }
            return nil
        }
    }
}
