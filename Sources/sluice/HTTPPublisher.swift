// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore

/// Publishes through a node: `POST /publish`, several events as lines of one request.
struct HTTPPublisher: EventPublisher {
    /// Far more than any answer to a batch of ours.
    private static let answerBytesMax = 64 * 1024 * 1024
    /// What one request carries, well below what nodes and proxies accept.
    private static let requestBytes = 256 * 1024

    let url: HTTPURL
    let token: String?

    func publish(_ events: [OutgoingEvent]) async throws -> [Result<Receipt, any Error>] {
        var batches: [[String]] = [[]]
        var bytes = 0
        for event in events {
            let json = try HTTPPublisher.json(event)
            bytes += json.utf8.count
            if bytes > HTTPPublisher.requestBytes, batches.last?.isEmpty == false {
                batches.append([])
                bytes = json.utf8.count
            }
            batches[batches.count - 1].append(json)
        }
        var results: [Result<Receipt, any Error>] = []
        for batch in batches {
            // What an earlier request has published stays published, and has its receipt.
            do { results += try await post(batch) } catch { return results + [.failure(error)] }
        }
        return results
    }

    private func post(_ lines: [String]) async throws -> [Result<Receipt, any Error>] {
        let isBatch = lines.count > 1
        var headers = HTTPExchange.authorization(token)
        headers.append(("Content-Type", isBatch ? "application/x-ndjson" : "application/json"))
        let body = ByteBuffer(string: lines.joined(separator: "\n"))
        let answer: String
        do {
            answer = try await HTTPExchange(method: .POST, url: url, headers: headers, body: body)
                .perform { head, body in
                    let text = try await body.text(bytesMax: HTTPPublisher.answerBytesMax)
                    guard head.status == .ok else {
                        throw PublishRefused(description: HTTPExchange.problem(status: head.status, body: text))
                    }
                    return text
                }
        } catch let error as PublishRefused {
            throw PublishRefused(description: "\(url) answered \(error)")
        } catch {
            throw PublishRefused(description: "can't publish at \(url): \(Console.reason(of: error))")
        }
        let results = isBatch ? answer.split(separator: "\n").map(String.init) : [answer]
        guard results.count == lines.count else {
            throw PublishRefused(description: "\(url) sent \(results.count) results for \(lines.count) events")
        }
        return results.map { line in Result { try HTTPPublisher.receipt(line) } }
    }

    private static func json(_ event: OutgoingEvent) throws -> String {
        guard let data = String(validating: event.data.readableBytesView, as: UTF8.self) else {
            throw PublishRefused(description: "the data is not UTF-8: \(String(buffer: event.data).prefix(60))")
        }
        var members: [String] = []
        switch event.target.kind {
        case .topic: members.append("\"topic\":\(JSONText.quoted(event.target.name))")
        case .client: members.append("\"client\":\(JSONText.quoted(event.target.name))")
        case .all: members.append("\"all\":true")
        }
        members.append("\"data\":\(JSONText.quoted(data))")
        if let type = event.type { members.append("\"event\":\(JSONText.quoted(type))") }
        if let key = event.key { members.append("\"key\":\(JSONText.quoted(key))") }
        if event.ends { members.append("\"end\":true") }
        if !event.isLogged { members.append("\"log\":false") }
        if let maxlen = event.maxlen { members.append("\"maxlen\":\(maxlen)") }
        if let ttl = event.ttl { members.append("\"ttl\":\(ttl)") }
        if let once = event.once { members.append("\"once\":\(JSONText.quoted(once))") }
        return "{\(members.joined(separator: ","))}"
    }

    /// Reads `{"results":[{"to":…,"id":…,"nodes":…}]}`.
    private static func receipt(_ line: String) throws -> Receipt {
        let members = try JSONText.object(line)
        if case .string(let message)? = members["message"]?.value { throw PublishRefused(description: message) }
        guard case .array(let results)? = members["results"]?.value, let first = results.first,
            let result = try? JSONText.object(String(first.text)),
            case .number(let digits)? = result["nodes"]?.value, let nodes = Int(digits)
        else { throw PublishRefused(description: "an unexpected answer: \(line.prefix(120))") }
        guard case .string(let id)? = result["id"]?.value else { return Receipt(id: nil, nodes: nodes) }
        return Receipt(id: EventID(id), nodes: nodes)
    }
}
