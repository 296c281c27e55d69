// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore

/// `GET /events`: opens a stream of what its token, or whoever shows none, may subscribe to.
struct StreamRoute: Sendable {
    /// What a request without a token may do.
    let anonymous: Grant
    let topicsMax: Int

    @Sendable func open(_ request: AuthorizedRequest) throws(HTTPProblem) -> AuthorizedRequest.Outcome {
        let (head, grant) = (request.head, request.grant)
        var stream = try Subscription(query: head.query, headers: head.message.headers, topicsMax: topicsMax)
        // A token never takes away what everybody may have. The same for a topic that has events and for one that never
        // had any.
        let uncovered = stream.targets.first { !grant.maySubscribe(to: $0) && !anonymous.maySubscribe(to: $0) }
        if let target = uncovered {
            throw head.refused("the token does not cover \(JSONText.quoted("\(target)".prefix(80)))")
        }
        // What is published to everybody is for whoever may subscribe to something at all.
        if stream.targets.isEmpty, !grant.maySubscribeToSomething, !anonymous.maySubscribeToSomething {
            throw head.refused("the token does not subscribe to anything")
        }
        if head.method == .HEAD {
            var answer = Answer(stream: "")
            answer.isOpenEnded = true
            return .answer(answer)
        }
        stream.timeLeft = grant.expiry.map { .milliseconds($0 - Int64(clamping: WallClock.milliseconds())) }
        let owner = grant.client.flatMap { try? Target.client($0) }
        stream.owner = owner == stream.client ? nil : owner
        stream.holder = owner?.description ?? (grant.id.isEmpty ? nil : grant.id)
        return .stream(stream)
    }
}
