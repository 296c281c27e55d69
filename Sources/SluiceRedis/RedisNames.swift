// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// The names that Sluice uses in Redis: the public contract with backends, in one place.
///
/// Redis Cluster will add a hash tag per partition here (`sluice:{7}:topic:news`) and nowhere else.
package struct RedisNames: Sendable {
    package let prefix: String

    package init(prefix: String) {
        self.prefix = prefix
    }

    /// nil if `prefix` can be used, else what is wrong with it.
    package static func problem(prefix: String) -> String? {
        if prefix.isEmpty || prefix.utf8.count > 64 { return "needs 1 to 64 characters" }
        let allowed = prefix.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "._-:".utf8.contains(byte)
            }
        }
        if !allowed { return "may contain letters, digits and . _ - : only" }
        // The function finds the prefix by the first of these.
        if [":topic:", ":client:"].contains(where: { (prefix + ":").contains($0) }) || prefix.hasPrefix(":") {
            return "may not contain \":topic:\" or \":client:\", nor begin with a colon"
        }
        // A log of such a prefix would take the name of another key of ours.
        if [":last", ":once", ":node"].contains(where: prefix.hasSuffix) {
            return "may not end in \":last\", \":once\" or \":node\""
        }
        return nil
    }

    /// The channel of a target, and the stream key of its log.
    package func channel(_ target: Target) -> String {
        "\(prefix):\(target)"
    }

    /// The newest id of a target's log; outlives the log.
    package func marker(_ target: Target) -> String {
        "\(prefix):last:\(target)"
    }

    package var clock: String { "\(prefix):clock" }

    /// The channel of orders to all nodes.
    package var control: String { "\(prefix):control" }

    package func node(_ id: String) -> String {
        "\(prefix):node:\(id)"
    }
}
