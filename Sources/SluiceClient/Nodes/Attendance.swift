// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// Who listens to a client or a topic, as a node answers `GET /clients/<id>` and `GET /topics/<t>`.
package struct Attendance: Equatable, Sendable {
    package let streams: Int
    /// Nodes with such streams.
    package let nodes: [(node: String, streams: Int)]
    /// Every node has answered.
    package let isComplete: Bool

    package static func == (left: Attendance, right: Attendance) -> Bool {
        left.streams == right.streams && left.isComplete == right.isComplete
            && left.nodes.elementsEqual(right.nodes, by: ==)
    }

    /// The path that is asked for it.
    package static func path(_ target: Target) -> String {
        let kind = target.kind == .client ? "clients" : "topics"
        return "/\(kind)/\(PercentEncoding.encode(target.name))"
    }

    /// nil if this is no such answer.
    package init?(_ members: [ExactText: JSONText.Member]) {
        guard let streams = members["streams"].flatMap({ Int($0.text) }),
            case .bool(let isComplete)? = members["complete"]?.value, case .array(let nodes)? = members["nodes"]?.value
        else { return nil }
        self.streams = streams
        self.isComplete = isComplete
        self.nodes = nodes.compactMap { element in
            guard let members = try? JSONText.object(String(element.text)),
                case .string(let node)? = members["node"]?.value,
                let streams = members["streams"].flatMap({ Int($0.text) })
            else { return nil }
            return (node, streams)
        }
    }
}
