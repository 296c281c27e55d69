// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// One node of the answer to `GET /nodes`, as a line for a person: `n1 streams=3 ready listen=127.0.0.1:8080 version=…`.
package struct NodeLine: Equatable, Sendable, CustomStringConvertible {
    package let description: String
    /// It has answered, and takes new streams.
    package let isWell: Bool

    /// nil if this is no answer to it.
    package static func lines(_ members: [ExactText: JSONText.Member]) -> [NodeLine]? {
        guard case .array(let nodes)? = members["nodes"]?.value else { return nil }
        return nodes.compactMap { element in (try? JSONText.object(String(element.text))).flatMap { NodeLine($0) } }
    }

    private init?(_ members: [ExactText: JSONText.Member]) {
        guard case .string(let node)? = members["node"]?.value else { return nil }
        func text(_ name: String) -> String {
            guard case .string(let text)? = members[ExactText(name)]?.value else { return "?" }
            return text
        }
        func holds(_ name: String) -> Bool { members[ExactText(name)]?.value == .bool(true) }
        let hasAnswered = holds("answered")
        let state =
            if !hasAnswered { "SILENT" } else if holds("draining") { "draining" } else if holds("ready") {
                "ready"
            } else {
                "NOT-READY (\(text("problem")))"
            }
        isWell = hasAnswered && holds("ready")
        let streams = members["streams"]?.text ?? "?"
        description = "\(node) streams=\(streams) \(state) listen=\(text("listen")) version=\(text("version"))"
    }
}
