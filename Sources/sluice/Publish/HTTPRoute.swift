// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore
import SluiceGateway

/// Publishes through a node: `POST /publish`, one event as JSON, several as NDJSON.
///
/// One request at a time, so that the order is kept; what comes meanwhile makes the next one larger.
actor HTTPRoute: PublishRoute {
    /// A connection that was quiet for longer may be about to be closed by a proxy; a new one costs little.
    private static let quietMax = TimeAmount.seconds(2)
    /// What one request carries. A node allows 8 MiB.
    private static let bodyBytes = 1 << 20

    private let dialer: WebDialer
    private let eventLoop: any EventLoop
    private let headers: HTTPHeaders
    private let plan: PublishPlan
    private var connection: NIOLoopBound<WebConnection>?

    init(_ dialer: WebDialer, token: String?, plan: PublishPlan, on eventLoop: any EventLoop) {
        self.dialer = dialer
        self.eventLoop = eventLoop
        self.plan = plan
        var headers: HTTPHeaders = [
            "Host": dialer.address.hostHeader, "User-Agent": "sluice", "Accept": "application/json",
        ]
        if let token { headers.add(name: "Authorization", value: "Bearer \(token)") }
        self.headers = headers
    }

    func publish(_ events: [OutgoingEvent]) async -> [Result<Receipt, Failure>] {
        if events.count == 1, let event = events.first {
            do { return [.success(try await publishOne(event))] } catch { return [.failure(failure(error))] }
        }
        var results: [Result<Receipt, Failure>] = []
        var lines: [String] = []
        var bytes = 0
        for event in events {
            let line: String
            do { line = try json(event) } catch {
                results += await publishLines(lines)
                return results + [.failure(failure(error))]
            }
            if bytes + line.utf8.count > HTTPRoute.bodyBytes, !lines.isEmpty {
                results += await publishLines(lines)
                if case .failure = results.last { return results }
                (lines, bytes) = ([], 0)
            }
            lines.append(line)
            bytes += line.utf8.count + 1
        }
        return results + (await publishLines(lines))
    }

    func close() async {
        let connection = connection
        try? await eventLoop.submit { connection?.value.close() }.get()
    }

    // MARK: Requests

    private func publishOne(_ event: OutgoingEvent) async throws -> Receipt {
        let reply = try await post(try json(event), type: "application/json")
        let text = String(buffer: reply.body)
        guard reply.status == .ok else { throw HTTPRoute.failure(reply.status, text) }
        return try receipt(text)
    }

    private func publishLines(_ lines: [String]) async -> [Result<Receipt, Failure>] {
        guard !lines.isEmpty else { return [] }
        do {
            let reply = try await post(lines.map { $0 + "\n" }.joined(), type: "application/x-ndjson")
            let text = String(buffer: reply.body)
            guard reply.status == .ok else { throw HTTPRoute.failure(reply.status, text) }
            let results = text.split(separator: "\n").map { line -> Result<Receipt, Failure> in
                do { return .success(try receipt(String(line))) } catch { return .failure(failure(error)) }
            }
            guard results.count == lines.count else {
                throw Failure("\(dialer.address) answered \(results.count) results for \(lines.count) events")
            }
            return results
        } catch {
            return [.failure(failure(error))]
        }
    }

    private func post(_ body: String, type: String) async throws -> WebConnection.Reply {
        var headers = headers
        headers.add(name: "Content-Type", value: type)
        let connection = try await usableConnection()
        let target = dialer.address.target
        return try await eventLoop.flatSubmit { [headers] in
            connection.value.post(target, headers: headers, body: ByteBuffer(string: body))
        }.get()
    }

    private func usableConnection() async throws -> NIOLoopBound<WebConnection> {
        if let connection {
            let isUsable = try await eventLoop.submit {
                let isUsable =
                    connection.value.isOpen && NIODeadline.now() - connection.value.lastReply < HTTPRoute.quietMax
                if !isUsable { connection.value.close() }
                return isUsable
            }.get()
            if isUsable { return connection }
        }
        let connection = try await WebConnection.connect(dialer, on: eventLoop).get()
        self.connection = connection
        return connection
    }

    private func failure(_ error: any Error) -> Failure {
        error as? Failure ?? Failure("\(dialer.address)", error)
    }

    // MARK: JSON

    private func json(_ event: OutgoingEvent) throws -> String {
        guard let data = String(validating: event.data.readableBytesView, as: UTF8.self) else {
            throw Failure("the data is not UTF-8; through --redis any bytes can be sent")
        }
        var members: [(String, String)] = []
        switch plan.target.kind {
        case .topic: members.append(("topic", JSONText.quoted(plan.target.name)))
        case .client: members.append(("client", JSONText.quoted(plan.target.name)))
        case .all: members.append(("all", "true"))
        }
        members.append(("data", JSONText.quoted(data)))
        if let type = plan.type { members.append(("event", JSONText.quoted(type))) }
        if let key = plan.key { members.append(("key", JSONText.quoted(key))) }
        if event.ends { members.append(("end", "true")) }
        if !plan.isLogged { members.append(("log", "false")) }
        if let maxlen = plan.maxlen { members.append(("maxlen", String(maxlen))) }
        if let ttl = plan.ttlSeconds { members.append(("ttl", String(ttl))) }
        if let once = event.once { members.append(("once", JSONText.quoted(once))) }
        return "{" + members.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
    }

    /// `{"results":[{"to":"topic:a","id":"…","nodes":2}]}`, or an error's object.
    private func receipt(_ text: String) throws -> Receipt {
        guard let answer = try? JSONText.object(text) else {
            throw Failure("\(dialer.address) gave an answer that is not known")
        }
        if let message = HTTPRoute.message(answer) { throw Failure(message) }
        guard case .array(let results) = answer["results"]?.value, let first = results.first,
            let members = try? JSONText.object(String(first.text)),
            case .number(let nodes) = members["nodes"]?.value
        else { throw Failure("\(dialer.address) gave an answer that is not known") }
        var id: EventID?
        if case .string(let text) = members["id"]?.value { id = EventID(text) }
        return Receipt(id: id, nodes: Int(nodes) ?? 0)
    }

    private static func failure(_ status: HTTPResponseStatus, _ text: String) -> Failure {
        Failure("the server answered \(ServerMessage(status: status, body: text))")
    }

    private static func message(_ answer: [ExactText: JSONText.Member]) -> String? {
        guard case .string(let code) = answer["error"]?.value else { return nil }
        guard case .string(let message) = answer["message"]?.value else { return code }
        return message
    }
}
