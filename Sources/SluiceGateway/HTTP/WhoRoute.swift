// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// Who is there: `GET /clients/<id>`, `GET /topics/<t>`, and `POST /presence` for many of them. All nodes are asked.
struct WhoRoute: Sendable {
    /// Room for as many names as may be asked for.
    private static let bodyBytesMax = 300 << 10

    let hub: Confined<Hub>
    let publishing: Publishing

    @Sendable func client(_ request: AuthorizedRequest) throws(HTTPProblem) -> AuthorizedRequest.Outcome {
        try one(ClientRoute.client(request.head.name), "client", request)
    }

    @Sendable func topic(_ request: AuthorizedRequest) throws(HTTPProblem) -> AuthorizedRequest.Outcome {
        let target: Target
        do { target = try .topic(request.head.name) } catch {
            throw .badRequest("the topic \(JSONText.quoted(request.head.name.prefix(80))) \(error)")
        }
        return try one(target, "topic", request)
    }

    private func one(
        _ target: Target, _ kind: String, _ request: AuthorizedRequest
    ) throws(HTTPProblem) -> AuthorizedRequest.Outcome {
        try check([target], request)
        return .later(
            survey([target]).map { outcome in
                let nodes = outcome.answers.compactMap { answer in
                    answer.counts[0] == 0
                        ? nil : "{\"node\":\(JSONText.quoted(answer.node)),\"streams\":\(answer.counts[0])}"
                }
                return Answer(
                    json: "{\"\(kind)\":\(JSONText.quoted(target.name)),\"streams\":\(outcome.sums[0]),"
                        + "\"nodes\":[\(nodes.joined(separator: ","))],\"complete\":\(outcome.isComplete)}")
            })
    }

    @Sendable func presence(_ request: AuthorizedRequest) throws(HTTPProblem) -> AuthorizedRequest.Outcome {
        guard request.body.readableBytes <= WhoRoute.bodyBytesMax else { throw .bodyTooLarge(WhoRoute.bodyBytesMax) }
        let targets = try WhoRoute.read(request.body).targets
        try check(targets, request)
        return .later(
            survey(targets).map { outcome in
                let counts = zip(targets, outcome.sums)
                func members(_ kind: Target.Kind) -> String {
                    counts.filter { $0.0.kind == kind }.map { "\(JSONText.quoted($0.0.name)):\($0.1)" }
                        .joined(separator: ",")
                }
                return Answer(
                    json: "{\"clients\":{\(members(.client))},\"topics\":{\(members(.topic))},"
                        + "\"complete\":\(outcome.isComplete)}")
            })
    }

    private static func read(_ body: ByteBuffer) throws(HTTPProblem) -> PresenceRequest {
        let result = body.withUnsafeReadableBytes { bytes in
            Result { () throws(HTTPProblem) in try PresenceRequest(json: bytes) }
        }
        return try result.get()
    }

    /// Who may publish there may know who would get it. A question costs every node something, and counts as an event.
    private func check(_ targets: [Target], _ request: AuthorizedRequest) throws(HTTPProblem) {
        if let target = targets.first(where: { !request.grant.mayPublish(to: $0) }) {
            throw request.head.refused("the token does not publish to \(JSONText.quoted("\(target)".prefix(80)))")
        }
        try publishing.admit(
            events: 1, bytes: request.body.readableBytes, by: request.grant, from: request.head.address,
            now: request.eventLoop.now)
    }

    private func survey(_ targets: [Target]) -> EventLoopFuture<Surveys.Outcome> {
        let hub = hub
        return hub.eventLoop.flatSubmit { hub.value.survey(targets) }
    }
}
