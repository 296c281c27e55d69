// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// `GET /nodes` on the operator's listener: how every node of the deployment is.
struct NodesRoute: Sendable {
    let hub: Confined<Hub>

    @Sendable func nodes(_ request: AuthorizedRequest) throws(HTTPProblem) -> AuthorizedRequest.Outcome {
        let hub = hub
        let outcome = hub.eventLoop.flatSubmit { hub.value.survey([], wantsReport: true) }
        return .later(
            outcome.flatMap { outcome in
                let entries = hub.eventLoop.flatSubmit { hub.value.entries(of: outcome.silent) }
                return entries.map { Answer(json: NodesRoute.json(outcome, $0)) }
            })
    }

    private static func json(_ outcome: Surveys.Outcome, _ entries: [String: NodeEntry]) -> String {
        let answered = outcome.answers.map { answer in
            (answer.node, "\"answered\":true,\(answer.report?.members ?? "")")
        }
        // One whose entry is gone by now has left.
        let silent = outcome.silent.compactMap { node in
            entries[node].map { (node, "\"answered\":false,\($0.members)") }
        }
        let nodes = (answered + silent).sorted { $0.0 < $1.0 }.map { "{\"node\":\(JSONText.quoted($0)),\($1)}" }
        return "{\"nodes\":[\(nodes.joined(separator: ","))],\"complete\":\(outcome.isComplete)}"
    }
}
