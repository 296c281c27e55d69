// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore

/// One request that was read whole, and the routes that answer it.
package struct Request: Sendable {
    package let head: HTTPRequestHead
    package let target: RequestTarget
    package let body: ByteBuffer
    package let visitor: Visitor
    package let node: Node
    /// Of its connection.
    package let eventLoop: any EventLoop

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

    // MARK: Grants

    /// Finds out what the request may do, and goes on with that: at once in open mode and without a token, else when the
    /// token's signature is checked.
    private func authorized(
        _ query: Query, _ next: @escaping @Sendable (Grant) throws(HTTPProblem) -> Router.Outcome
    ) throws(HTTPProblem) -> Router.Outcome {
        guard let tokens = node.tokens else { return try next(node.anonymous) }
        let credentials = try Credentials.find(
            headers: head.headers, query: query, cookieName: node.settings.jwtCookie)
        guard let credentials else { return try next(node.anonymous) }
        if credentials.source == .cookie, !node.origins.permitsCookie(head.headers, host: visitor.authority) {
            throw OriginPolicy.refusal
        }
        let outcome = eventLoop.makeFutureWithTask { try await tokens.verify(credentials.token) }
            .flatMapThrowing { try next($0) }
            .flatMapErrorThrowing { .answer(Answer(problem: HTTPProblem(of: $0))) }
        return .authorizing(outcome)
    }

    /// Without a token it is for the client to bring one; with one there is nothing that it could do.
    private func refused(_ grant: Grant, _ message: String) -> HTTPProblem {
        grant == node.anonymous && node.tokens != nil
            ? .unauthorized(
                "a token is needed: as Authorization: Bearer, as a cookie, or as access_token= in the query")
            : .forbidden(message)
    }

    // MARK: Streams

    package func events() throws(HTTPProblem) -> Router.Outcome {
        try get { () throws(HTTPProblem) in
            let query = try Query(target.query)
            return try stream(
                try StreamRequest(query: query, headers: head.headers, topicsMax: node.settings.topicsMax), query)
        }
    }

    package func articleStream() throws(HTTPProblem) -> Router.Outcome {
        try get { () throws(HTTPProblem) in
            let query = try Query(target.query)
            return try stream(try StreamRequest(articleQuery: query, headers: head.headers), query)
        }
    }

    private func stream(_ request: StreamRequest, _ query: Query) throws(HTTPProblem) -> Router.Outcome {
        try authorized(query) { grant throws(HTTPProblem) in
            // The same for a topic that has events and for one that never had any.
            guard let target = request.targets.first(where: { !grant.maySubscribe(to: $0) }) else {
                var request = request
                request.timeLeft = grant.expiry.map { .milliseconds($0 - Int64(clamping: WallClock.milliseconds())) }
                return head.method == .HEAD ? .answer(Answer(stream: "")) : .stream(request)
            }
            throw refused(grant, "the token does not cover \(JSONText.quoted("\(target)".prefix(80)))")
        }
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
        return try authorized(try Query(target.query)) { grant throws(HTTPProblem) in
            guard grant.isAdmin || !grant.publish.isEmpty else { throw refused(grant, "the token does not publish") }
            switch mediaType {
            case "application/json", nil: return .later(try publishOne(try text(body.readableBytesView), grant))
            case "application/x-ndjson": return .later(try publishLines(grant))
            default: throw .unsupportedMediaType("application/json or application/x-ndjson")
            }
        }
    }

    private func text(_ bytes: some Collection<UInt8>) throws(HTTPProblem) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .badRequest("the body is not UTF-8") }
        return text
    }

    private func publishOne(_ json: String, _ grant: Grant) throws(HTTPProblem) -> EventLoopFuture<Answer> {
        try results(json, grant).map { Answer(json: $0) }
    }

    /// Publishes to each target and makes the answer's text. Either all targets are allowed or nothing is published.
    private func results(_ json: String, _ grant: Grant) throws(HTTPProblem) -> EventLoopFuture<String> {
        let request = try PublishRequest(json: json, limits: node.publishLimits)
        for publication in request.publications { try admit(publication.target, grant) }
        try node.admit(publishing: request.publications.count, by: grant)
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

    private func admit(_ target: Target, _ grant: Grant) throws(HTTPProblem) {
        guard grant.mayPublish(to: target) else {
            throw refused(grant, "the token does not publish to \(JSONText.quoted("\(target)".prefix(80)))")
        }
    }

    /// One object a line, one result a line; a bad line does not stop the others.
    private func publishLines(_ grant: Grant) throws(HTTPProblem) -> EventLoopFuture<Answer> {
        let loop = node.hub.eventLoop
        let lines = body.readableBytesView.split(separator: UInt8(ascii: "\n")).filter { line in
            !line.allSatisfy { $0 == 0x20 || $0 == 0x0D || $0 == 0x09 }
        }
        guard lines.count <= node.settings.linesMax else {
            throw HTTPProblem(
                status: .payloadTooLarge, code: "payload_too_large",
                message: "\(lines.count) lines; at most \(node.settings.linesMax) are allowed")
        }
        let answers = lines.map { line -> EventLoopFuture<String> in
            do throws(HTTPProblem) {
                return try results(try text(line), grant).flatMapErrorThrowing { HTTPProblem(of: $0).body }
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
        return try authorized(query) { grant throws(HTTPProblem) in
            try admit(target, grant)
            try node.admit(publishing: 1, by: grant)
            return .later(node.publish(publication, on: node.hub.eventLoop).map { _ in Answer(text: "success") })
        }
    }

    // MARK: Clients

    /// `DELETE /clients/<id>`: ends the client's streams on every node; `?reconnect=false` keeps it away for a time.
    package func client(_ id: Substring) throws(HTTPProblem) -> Router.Outcome {
        switch head.method {
        case .DELETE: break
        case .OPTIONS: return .answer(Request.preflight("DELETE, OPTIONS"))
        default: throw .methodNotAllowed("DELETE, OPTIONS")
        }
        let query = try Query(target.query)
        let name = String(id)
        do { _ = try Target.client(name) } catch {
            throw .badRequest("the client \(JSONText.quoted(name.prefix(80))) \(error)")
        }
        let seconds = try query.one("seconds").map { text throws(HTTPProblem) in
            guard let seconds = Int(text), Disconnect.secondsRange.contains(seconds) else {
                throw .badRequest("seconds takes a whole number from 1 to \(Disconnect.secondsRange.upperBound)")
            }
            return seconds
        }
        let mayReturn = try query.flag("reconnect", default: true)
        let order = Disconnect(
            client: name, exile: mayReturn ? nil : .seconds(Int64(seconds ?? Disconnect.secondsDefault)))
        return try authorized(query) { grant throws(HTTPProblem) in
            guard grant.isAdmin else { throw refused(grant, "this needs a token with sluice.admin") }
            let hub = node.hub
            return .later(
                hub.eventLoop.flatSubmit { hub.value.order(order) }.map {
                    Answer(json: "{\"client\":\(JSONText.quoted(name)),\"nodes\":\($0)}")
                })
        }
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
