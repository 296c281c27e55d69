// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore

/// One request that was read whole, and the routes that answer it.
package struct Request {
    package let head: HTTPRequestHead
    package let target: RequestTarget
    package let body: ByteBuffer
    package let node: Node

    // MARK: Methods

    /// OPTIONS is a CORS preflight, or harmless.
    private static func preflight(_ allowed: String) -> Answer {
        var answer = Answer(status: .noContent)
        answer.headers = [
            ("Allow", allowed), ("Access-Control-Allow-Methods", allowed),
            ("Access-Control-Allow-Headers", "last-event-id, authorization, content-type, cache-control"),
            ("Access-Control-Max-Age", "86400"),
        ]
        return answer
    }

    package func get(_ answer: () throws(HTTPProblem) -> Router.Outcome) throws(HTTPProblem) -> Router.Outcome {
        switch head.method {
        case .GET, .HEAD: try answer()
        case .OPTIONS: .answer(Request.preflight("GET, HEAD, OPTIONS"))
        default: throw .methodNotAllowed("GET, HEAD, OPTIONS")
        }
    }

    // MARK: Streams

    package func events() throws(HTTPProblem) -> Router.Outcome {
        try get { () throws(HTTPProblem) in
            stream(
                try StreamRequest(
                    query: try Query(target.query), headers: head.headers, topicsMax: node.settings.topicsMax))
        }
    }

    package func articleStream() throws(HTTPProblem) -> Router.Outcome {
        try get { () throws(HTTPProblem) in
            stream(try StreamRequest(articleQuery: try Query(target.query), headers: head.headers))
        }
    }

    private func stream(_ request: StreamRequest) -> Router.Outcome {
        head.method == .HEAD ? .answer(Answer(stream: "")) : .stream(request)
    }

    // MARK: Publishing

    package func publish() throws(HTTPProblem) -> Router.Outcome {
        switch head.method {
        case .POST: break
        case .OPTIONS: return .answer(Request.preflight("POST, OPTIONS"))
        default: throw .methodNotAllowed("POST, OPTIONS")
        }
        let mediaType = head.headers.first(name: "content-type")?.split(separator: ";").first.map {
            $0.filter { !$0.isWhitespace }.lowercased()
        }
        switch mediaType {
        case "application/json", nil: return .later(try publishOne(try text(body.readableBytesView)))
        case "application/x-ndjson": return .later(publishLines())
        default: throw .unsupportedMediaType("application/json or application/x-ndjson")
        }
    }

    private func text(_ bytes: some Collection<UInt8>) throws(HTTPProblem) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .badRequest("the body is not UTF-8") }
        return text
    }

    private func publishOne(_ json: String) throws(HTTPProblem) -> EventLoopFuture<Answer> {
        results(try PublishRequest(json: json, limits: node.publishLimits)).map { Answer(json: $0) }
    }

    /// Publishes to each target and makes the answer's text.
    private func results(_ request: PublishRequest) -> EventLoopFuture<String> {
        let loop = node.hub.eventLoop
        let receipts = request.publications.map { publication in
            node.publish(publication, on: loop).map { receipt in
                let id = receipt.id.map { "\"\($0)\"" } ?? "null"
                return
                    "{\"to\":\(JSONText.quoted(publication.target.description)),\"id\":\(id),\"nodes\":\(receipt.nodes)}"
            }
        }
        return EventLoopFuture.whenAllSucceed(receipts, on: loop).map { "{\"results\":[\($0.joined(separator: ","))]}" }
    }

    /// One object a line, one result a line; a bad line does not stop the others.
    private func publishLines() -> EventLoopFuture<Answer> {
        let loop = node.hub.eventLoop
        let lines = body.readableBytesView.split(separator: UInt8(ascii: "\n")).filter { line in
            !line.allSatisfy { $0 == 0x20 || $0 == 0x0D || $0 == 0x09 }
        }
        let answers = lines.map { line -> EventLoopFuture<String> in
            do throws(HTTPProblem) {
                return results(try PublishRequest(json: try text(line), limits: node.publishLimits))
                    .flatMapErrorThrowing { HTTPProblem(of: $0).body }
            } catch {
                return loop.makeSucceededFuture(error.body)
            }
        }
        return EventLoopFuture.whenAllSucceed(answers, on: loop).map { lines in
            Answer(contentType: "application/x-ndjson", body: lines.map { $0 + "\n" }.joined())
        }
    }

    /// `GET or POST /push?client_id=c&message=m`, as the articles have it; POST also takes a form.
    package func articlePush() throws(HTTPProblem) -> Router.Outcome {
        var fields = String(target.query)
        switch head.method {
        case .GET: break
        case .POST:
            let form = try text(body.readableBytesView)
            if !form.isEmpty { fields += "&" + form }
        case .OPTIONS: return .answer(Request.preflight("GET, POST, OPTIONS"))
        default: throw .methodNotAllowed("GET, POST, OPTIONS")
        }
        let query = try Query(fields)
        guard let client = try query.one("client_id") else { throw .badRequest("client_id is missing") }
        guard let message = try query.one("message") else { throw .badRequest("message is missing") }
        let target: Target
        do { target = try .client(client) } catch {
            throw .badRequest("the client \(JSONText.quoted(client.prefix(80))) \(error)")
        }
        let limits = node.publishLimits
        guard message.utf8.count <= limits.dataBytesMax else { throw .bodyTooLarge(limits.dataBytesMax) }
        let publication = Publication(
            target: target, data: ByteBuffer(string: message), maxlen: limits.maxlen, ttl: limits.ttl)
        return .later(node.publish(publication, on: node.hub.eventLoop).map { _ in Answer(text: "success") })
    }

    // MARK: Admin

    package func readiness() -> Router.Outcome {
        if let problem = node.status.problem {
            return .answer(Answer(text: "not ready: \(problem)\n", status: .serviceUnavailable))
        }
        return .answer(Answer(text: "ready\n"))
    }

    /// Prometheus' text format.
    package func metrics() -> Router.Outcome {
        var text = ""
        for counter in node.counters.all {
            text += "# HELP sluice_\(counter.name) \(counter.help)\n# TYPE sluice_\(counter.name) \(counter.kind)\n"
            text += "sluice_\(counter.name) \(counter.value)\n"
        }
        return .answer(Answer(status: .ok, contentType: "text/plain; version=0.0.4", body: text))
    }
}
