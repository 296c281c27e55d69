// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore

/// `POST /publish` and `GET or POST /push`.
struct PublishRoute: Sendable {
    let publishing: Publishing

    @Sendable func publish(_ request: AuthorizedRequest) throws(HTTPProblem) -> AuthorizedRequest.Outcome {
        let mediaType = request.head.message.headers.first(name: "content-type")?.split(separator: ";").first.map {
            $0.filter { !$0.isWhitespace }.lowercased()
        }
        let form: PublishJob.Form
        switch mediaType {
        case "application/json", nil: form = .object
        case "application/x-ndjson": form = .lines
        default: throw .unsupportedMediaType("application/json or application/x-ndjson")
        }
        return .later(try PublishJob.run(request.body, form, of: publisher(request), on: request.eventLoop))
    }

    /// A POST may have its fields in a form as well.
    @Sendable func push(_ request: AuthorizedRequest) throws(HTTPProblem) -> AuthorizedRequest.Outcome {
        var query = request.head.query
        let (body, limits, publisher) = (request.body, publishing.limits, publisher(request))
        if request.head.method == .POST {
            try publisher.admit(events: 0, bytes: body.readableBytes)
            // A byte has three at most, and there are names beside the message.
            guard body.readableBytes <= 3 * limits.dataBytesMax + 4096 else { throw .bodyTooLarge(limits.dataBytesMax) }
            query.append(try Query(bytes: Array(body.readableBytesView)))
        }
        guard let client = try query.client() else { throw .badRequest("client_id is missing") }
        guard let message = try query.one("message") else { throw .badRequest("message is missing") }
        guard message.utf8.count <= limits.dataBytesMax else { throw .bodyTooLarge(limits.dataBytesMax) }
        let publish = PublishRequest(
            targets: [try ClientRoute.client(client)], event: Event(ByteBuffer(string: message)),
            retention: limits.retention)
        try publisher.admit(publish)
        return .later(
            publishing.publish(publish.publications, on: request.eventLoop).map { results in
                PublishOutcome(publish, results).problem.map { Answer(problem: $0) } ?? Answer(text: "success")
            })
    }

    private func publisher(_ request: AuthorizedRequest) -> PublishJob.Publisher {
        PublishJob.Publisher(
            grant: request.grant, head: request.head, publishing: publishing, eventLoop: request.eventLoop)
    }
}
