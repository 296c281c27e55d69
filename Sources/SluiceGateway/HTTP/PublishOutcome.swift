// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore

/// What became of one publish, for its publisher: a result for each target.
package struct PublishOutcome {
    private let targets: [Target]
    private let results: [Result<Receipt, HTTPProblem>]

    package init(_ request: PublishRequest, _ results: some Sequence<Result<Receipt, PublishFailure>>) {
        targets = request.targets
        self.results = results.map { result in
            result.mapError { failure in
                let problem = HTTPProblem(of: failure)
                // A second try can't double it: Redis knows the token.
                if case .unknown = failure, request.isRepeatable { return problem.repeatable }
                return problem
            }
        }
    }

    private var problems: [HTTPProblem] {
        results.compactMap { if case .failure(let problem) = $0 { problem } else { nil } }
    }

    /// The reason why no target has the event, if it is the same for all.
    package var problem: HTTPProblem? {
        let problems = problems
        guard let first = problems.first, problems.count == results.count else { return nil }
        return problems.allSatisfy { $0.status == first.status && $0.code == first.code } ? first : nil
    }

    /// When to try those again that are worth it; nil: none is.
    package var retryAfter: String? { problems.lazy.compactMap(\.retryAfter).first }

    /// Whether a target has it not because of something that passes: what is published next would overtake it.
    package var isToBeRepeated: Bool { problems.contains { $0.status == .serviceUnavailable } }

    /// 207 (RFC 4918 §11.1) if some targets have the event and others have not.
    package var answer: Answer {
        if let problem { return Answer(problem: problem) }
        var body = ByteBuffer()
        write(to: &body)
        var answer = Answer(contentType: "application/json")
        answer.body = body
        guard !problems.isEmpty else { return answer }
        answer.status = .multiStatus
        if let retryAfter { answer.headers.append(("Retry-After", retryAfter)) }
        return answer
    }

    /// `{"results":[{"to":"topic:a","id":"…","nodes":2},{"to":"topic:b","error":"…","message":"…"}]}`, or an error if that is
    /// what there is to say.
    package func write(to buffer: inout ByteBuffer) {
        if let problem {
            buffer.writeString(problem.body)
            return
        }
        buffer.writeString("{\"results\":[")
        for (index, (target, result)) in zip(targets, results).enumerated() {
            if index > 0 { buffer.writeString(",") }
            buffer.writeString("{\"to\":\(JSONText.quoted(target.description)),")
            switch result {
            case .success(let receipt):
                let id = receipt.id.map { "\"\($0)\"" } ?? "null"
                let replicas = receipt.replicas.map { ",\"replicas\":\($0)" } ?? ""
                buffer.writeString("\"id\":\(id),\"nodes\":\(receipt.nodes)\(replicas)}")
            case .failure(let problem): buffer.writeString("\(problem.members)}")
            }
        }
        buffer.writeString("]}")
    }
}
