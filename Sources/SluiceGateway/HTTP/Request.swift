// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore

/// One request that was read whole and may be carried out, and the routes that do it.
package struct Request {
    package enum Outcome {
        case answer(Answer)
        case later(EventLoopFuture<Answer>)
        case stream(Subscription)
    }

    package let head: HTTPRequestHead
    package let visit: Visit
    package let grant: Grant
    package let body: ByteBuffer
    package let node: Node
    /// Its connection's.
    package let eventLoop: any EventLoop

    package func carryOut() throws(HTTPProblem) -> Outcome {
        if head.method == .OPTIONS { return .answer(Preflight.answer(to: head, methods: visit.route.methods)) }
        return switch visit.route {
        case .server, .health: .answer(Answer(text: "ok\n"))
        case .readiness: .answer(readiness)
        case .metrics: .answer(metrics)
        case .page: .answer(Page.answer)
        case .stream:
            try stream(Subscription(query: visit.query, headers: head.headers, topicsMax: node.settings.topicsMax))
        case .publish: .later(try publish())
        case .push: .later(try push())
        case .client(let id): .later(try disconnect(id))
        }
    }

    // MARK: Streams

    private func stream(_ request: Subscription) throws(HTTPProblem) -> Outcome {
        // A token never takes away what everybody may have. The same for a topic that has events and for one that never
        // had any.
        let anonymous = node.anonymous
        let uncovered = request.targets.first { !grant.maySubscribe(to: $0) && !anonymous.maySubscribe(to: $0) }
        if let target = uncovered {
            throw visit.refused("the token does not cover \(JSONText.quoted("\(target)".prefix(80)))")
        }
        // What is published to everybody is for whoever may subscribe to something at all.
        if request.targets.isEmpty, !grant.maySubscribeToSomething, !anonymous.maySubscribeToSomething {
            throw visit.refused("the token does not subscribe to anything")
        }
        if head.method == .HEAD {
            var answer = Answer(stream: "")
            answer.isOpenEnded = true
            return .answer(answer)
        }
        var request = request
        request.timeLeft = grant.expiry.map { .milliseconds($0 - Int64(clamping: WallClock.milliseconds())) }
        let owner = grant.client.flatMap { try? Target.client($0) }
        request.owner = owner == request.client ? nil : owner
        request.holder = owner?.description ?? (grant.id.isEmpty ? nil : grant.id)
        return .stream(request)
    }

    // MARK: Publishing

    private func publish() throws(HTTPProblem) -> EventLoopFuture<Answer> {
        let mediaType = head.headers.first(name: "content-type")?.split(separator: ";").first.map {
            $0.filter { !$0.isWhitespace }.lowercased()
        }
        let form: PublishJob.Form
        switch mediaType {
        case "application/json", nil: form = .object
        case "application/x-ndjson": form = .lines
        default: throw .unsupportedMediaType("application/json or application/x-ndjson")
        }
        return try PublishJob.run(body, form, of: publisher, on: eventLoop)
    }

    private var publisher: PublishJob.Publisher {
        PublishJob.Publisher(grant: grant, visit: visit, node: node, eventLoop: eventLoop)
    }

    /// A POST may have its fields in a form as well.
    private func push() throws(HTTPProblem) -> EventLoopFuture<Answer> {
        var query = visit.query
        let limits = node.publishLimits
        if head.method == .POST {
            try publisher.admit(events: 0, bytes: body.readableBytes)
            // A byte has three at most, and there are names beside the message.
            guard body.readableBytes <= 3 * limits.dataBytesMax + 4096 else { throw .bodyTooLarge(limits.dataBytesMax) }
            query.append(try Query(bytes: Array(body.readableBytesView)))
        }
        guard let client = try query.client() else { throw .badRequest("client_id is missing") }
        guard let message = try query.one("message") else { throw .badRequest("message is missing") }
        guard message.utf8.count <= limits.dataBytesMax else { throw .bodyTooLarge(limits.dataBytesMax) }
        let request = PublishRequest(
            targets: [try Request.client(client)], event: Event(ByteBuffer(string: message)),
            retention: limits.retention)
        try publisher.admit(request)
        return node.publish(request.publications, on: eventLoop).map { results in
            PublishOutcome(request, results).problem.map { Answer(problem: $0) } ?? Answer(text: "success")
        }
    }

    private static func client(_ name: String) throws(HTTPProblem) -> Target {
        do { return try .client(name) } catch {
            throw .badRequest("the client \(JSONText.quoted(name.prefix(80))) \(error)")
        }
    }

    // MARK: Clients

    /// Ends the client's streams on every node; `?reconnect=false` keeps it away for a time.
    private func disconnect(_ id: String) throws(HTTPProblem) -> EventLoopFuture<Answer> {
        guard grant.isAdmin else { throw visit.refused("this needs a token with sluice.admin") }
        _ = try Request.client(id)
        var seconds = Disconnect.secondsDefault
        if let text = try visit.query.one("seconds") {
            guard let number = Int(text), Disconnect.secondsRange.contains(number) else {
                throw .badRequest("seconds takes a whole number from 1 to \(Disconnect.secondsRange.upperBound)")
            }
            seconds = number
        }
        let mayReturn = try visit.query.flag("reconnect", default: true)
        let order = Disconnect(client: id, exile: mayReturn ? nil : .seconds(Int64(seconds)))
        let hub = node.hub
        return hub.eventLoop.flatSubmit { hub.value.order(order) }.map { nodes in
            Answer(json: "{\"client\":\(JSONText.quoted(id)),\"nodes\":\(nodes)}")
        }
    }

    // MARK: Admin

    private var readiness: Answer {
        node.problem(now: eventLoop.now).map { Answer(text: "not ready: \($0)\n", status: .serviceUnavailable) }
            ?? Answer(text: "ready\n")
    }

    /// Prometheus' text format.
    private var metrics: Answer {
        Answer(status: .ok, contentType: "text/plain; version=0.0.4", body: node.counters.text)
    }
}
