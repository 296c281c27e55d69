// SPDX-License-Identifier: Apache-2.0
import SluiceCore

extension Receipt {
    /// What Redis replies to the function, `[id, nodes]`, or to a bare `PUBLISH`, the number of nodes; nil for anything else.
    package init?(reply: RESPValue) {
        switch reply {
        case .integer(let nodes): self.init(id: nil, nodes: Int(nodes))
        case .array(let parts):
            guard parts.count == 2, let id = parts[0].string, case .integer(let nodes) = parts[1] else { return nil }
            self.init(id: EventID(id), nodes: Int(nodes))
        default: return nil
        }
    }
}
