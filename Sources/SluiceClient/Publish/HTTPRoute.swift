// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore
import SluiceWeb

/// Publishes through a node: `POST /publish`, one event as JSON, several as NDJSON.
///
/// The events of one call keep their order, one request after the other.
actor HTTPRoute: PublishRoute {
    /// A connection that was quiet for longer may be about to be closed by a proxy; a new one costs little.
    private static let quietMax = TimeAmount.seconds(2)
    /// What one request carries. A node allows 8 MiB.
    private static let bodyBytes = 1 << 20
    private static let notText = ClientError("the data is not UTF-8; through --redis any bytes can be sent")

    private let dialer: WebDialer
    private let eventLoop: any EventLoop
    private let headers: HTTPHeaders
    private var connection: EventLoopFuture<NIOLoopBound<WebConnection>>?
    private var hasConnected = false

    init(_ dialer: WebDialer, token: String?, on eventLoop: any EventLoop) {
        self.dialer = dialer
        self.eventLoop = eventLoop
        var headers: HTTPHeaders = [
            "Host": dialer.address.hostHeader, "User-Agent": "sluice", "Accept": "application/json",
        ]
        if let token { headers.add(name: "Authorization", value: "Bearer \(token)") }
        self.headers = headers
    }

    func publish(_ publications: [Publication]) async -> [Result<Receipt, ClientError>] {
        var results: [Result<Receipt, ClientError>] = []
        while results.count < publications.count {
            var lines: [String] = []
            var bytes = 0
            for publication in publications[results.count...] {
                let line: String
                do { line = try json(publication) } catch { break }
                guard lines.isEmpty || bytes + line.utf8.count <= HTTPRoute.bodyBytes else { break }
                lines.append(line)
                bytes += line.utf8.count + 1
            }
            results += lines.isEmpty ? [.failure(HTTPRoute.notText)] : await publish(lines)
            // Those behind must not overtake.
            if results.contains(where: { (try? $0.get()) == nil }) {
                let notSent = ClientError("not sent", .later(after: nil))
                results += publications.dropFirst(results.count).map { _ in .failure(notSent) }
            }
        }
        return results
    }

    func connect() async throws(ClientError) {
        do { _ = try await usableConnection() } catch { throw ClientError("\(dialer.address)", error) }
    }

    func close() async {
        let open = connection
        connection = nil
        try? await open?.map { $0.value.close() }.get()
    }

    // MARK: Requests

    /// - Returns: a result for each line.
    private func publish(_ lines: [String]) async -> [Result<Receipt, ClientError>] {
        let connection: NIOLoopBound<WebConnection>
        do { connection = try await usableConnection() } catch {
            // A server that never was there may have another name.
            let failure = ClientError("\(dialer.address)", error, hasConnected ? .later(after: nil) : .refused)
            return lines.map { _ in .failure(failure) }
        }
        do {
            let reply = try await post(lines, over: connection)
            guard reply.status == .ok else {
                let result = HTTPRoute.result(reply)
                return lines.map { _ in result }
            }
            let after = HTTPRoute.retryAfter(reply)
            let results = String(buffer: reply.body).split(separator: "\n").map { result(of: $0, after: after) }
            if results.count == lines.count { return results }
            let text = "\(dialer.address) answered \(results.count) results for \(lines.count) events"
            return lines.map { _ in .failure(ClientError(text, .unknown)) }
        } catch {
            let failure = ClientError("\(dialer.address)", error, .unknown)
            return lines.map { _ in .failure(failure) }
        }
    }

    private func post(
        _ lines: [String], over connection: NIOLoopBound<WebConnection>
    ) async throws -> WebConnection.Reply {
        var headers = headers
        let isOne = lines.count == 1
        headers.add(name: "Content-Type", value: isOne ? "application/json" : "application/x-ndjson")
        let body = ByteBuffer(string: isOne ? lines[0] : lines.map { $0 + "\n" }.joined())
        let target = dialer.address.target
        return try await eventLoop.flatSubmit { [headers] in
            connection.value.post(target, headers: headers, body: body)
        }.get()
    }

    /// All who publish at a time share a connection.
    private func usableConnection() async throws -> NIOLoopBound<WebConnection> {
        let before = connection
        if let open = try? await before?.get() {
            let isUsable = try await eventLoop.submit {
                let isQuiet = NIODeadline.now() - open.value.lastReply >= HTTPRoute.quietMax
                let isUsable = open.value.isOpen && (open.value.isBusy || !isQuiet)
                if !isUsable { open.value.close() }
                return isUsable
            }.get()
            if isUsable { return open }
        }
        // Another may have connected meanwhile.
        guard connection === before else { return try await usableConnection() }
        let connecting = WebConnection.connect(dialer, on: eventLoop)
        connection = connecting
        let connection = try await connecting.get()
        hasConnected = true
        return connection
    }

    // MARK: JSON

    private func json(_ publication: Publication) throws -> String {
        let event = publication.event
        guard let data = String(validating: event.data.readableBytesView, as: UTF8.self) else {
            throw HTTPRoute.notText
        }
        var members: [(String, String)] = []
        switch publication.target.kind {
        case .topic: members.append(("topic", JSONText.quoted(publication.target.name)))
        case .client: members.append(("client", JSONText.quoted(publication.target.name)))
        case .all: members.append(("all", "true"))
        }
        members.append(("data", JSONText.quoted(data)))
        if let type = event.type { members.append(("event", JSONText.quoted(type))) }
        if let key = event.key { members.append(("key", JSONText.quoted(key))) }
        if event.ends { members.append(("end", "true")) }
        if publication.retention == nil { members.append(("log", "false")) }
        if let maxlen = publication.retention?.maxlen { members.append(("maxlen", String(maxlen))) }
        if let ttl = publication.retention?.ttl { members.append(("ttl", String(ttl))) }
        if let once = publication.once { members.append(("once", JSONText.quoted(once))) }
        if let replicas = publication.replicas { members.append(("replicas", String(replicas))) }
        return "{" + members.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
    }

    // MARK: Answers

    /// `{"results":[{"to":"topic:a","id":"…","nodes":2}]}`, or an error's object.
    private func result(of line: some StringProtocol, after: Duration?) -> Result<Receipt, ClientError> {
        guard let answer = try? JSONText.object(String(line)) else { return unknownAnswer }
        if case .string(let code) = answer["error"]?.value {
            var message = code
            if case .string(let text) = answer["message"]?.value { message = text }
            switch code {
            case "too_many_requests", "unavailable": return .failure(ClientError(message, .later(after: after)))
            case "unknown": return .failure(ClientError(message, .unknown))
            default: return .failure(ClientError(message))
            }
        }
        guard case .array(let results) = answer["results"]?.value, let first = results.first,
            let members = try? JSONText.object(String(first.text)),
            case .number(let nodes) = members["nodes"]?.value
        else { return unknownAnswer }
        var id: EventID?
        if case .string(let text) = members["id"]?.value { id = EventID(text) }
        var receipt = Receipt(id: id, nodes: Int(nodes) ?? 0)
        if case .number(let replicas) = members["replicas"]?.value { receipt.replicas = Int(replicas) }
        return .success(receipt)
    }

    private var unknownAnswer: Result<Receipt, ClientError> {
        .failure(ClientError("\(dialer.address) gave an answer that is not known"))
    }

    /// What an answer that is an error says of all its events.
    private static func result(_ reply: WebConnection.Reply) -> Result<Receipt, ClientError> {
        let text = String(buffer: reply.body)
        let kind: ClientError.Kind
        switch reply.status {
        case .tooManyRequests: kind = .later(after: retryAfter(reply))
        case .serviceUnavailable:
            let code = (try? JSONText.object(text))?["error"]?.value
            kind = code == .string("unknown") ? .unknown : .later(after: retryAfter(reply))
        // A proxy that had no answer.
        case .badGateway, .gatewayTimeout: kind = .unknown
        default: kind = .refused
        }
        return .failure(ClientError("the server answered \(ServerMessage(status: reply.status, body: text))", kind))
    }

    /// Seconds; nobody sends a date here.
    private static func retryAfter(_ reply: WebConnection.Reply) -> Duration? {
        reply.headers.first(name: "retry-after").flatMap { Int64($0) }.map { .seconds(min(max($0, 0), 3600)) }
    }
}
