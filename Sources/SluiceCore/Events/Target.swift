// SPDX-License-Identifier: Apache-2.0

/// Where an event goes: one topic, one client, or everyone.
///
/// A `Target` that exists is legal: it is made only by parsing, so nothing that a browser or a
/// backend sends becomes part of a Redis name without passing the grammar. Topics and clients
/// share it: 1 to 255 bytes of UTF-8 without control characters, Unicode white space or braces
/// (braces would choose a hash slot in Redis Cluster). `*`, `?` and `[` are plain characters,
/// because the gateway only ever subscribes to exact names. Two targets are equal if their bytes are.
package struct Target: Hashable, Sendable, CustomStringConvertible {
    package enum Kind: Sendable {
        case topic
        case client
        case all
    }

    private let exact: ExactText

    private init(description: String) {
        exact = ExactText(description)
    }

    /// `topic:<name>`, `client:<name>` or `all`: the form of the public contract.
    package var description: String { exact.text }

    /// Every stream on every node.
    package static let all = Target(description: "all")

    package static func topic(_ name: some StringProtocol) throws(InvalidName) -> Target {
        try InvalidName.check(name)
        return Target(description: "topic:\(name)")
    }

    package static func client(_ name: some StringProtocol) throws(InvalidName) -> Target {
        try InvalidName.check(name)
        return Target(description: "client:\(name)")
    }

    /// Parses the form that `description` prints; nil if it is not one.
    package init?(_ text: some StringProtocol) {
        let bytes = Substring(text).utf8
        if bytes.elementsEqual("all".utf8) {
            self = .all
        } else if bytes.starts(with: "topic:".utf8), let topic = try? Target.topic(Substring(bytes.dropFirst(6))) {
            self = topic
        } else if bytes.starts(with: "client:".utf8), let client = try? Target.client(Substring(bytes.dropFirst(7))) {
            self = client
        } else {
            return nil
        }
    }

    package var kind: Kind {
        switch description.utf8.first {
        case UInt8(ascii: "t"): .topic
        case UInt8(ascii: "c"): .client
        default: .all
        }
    }

    /// The topic's or client's own name; empty for `all`.
    package var name: Substring {
        switch kind {
        case .topic: Substring(description.utf8.dropFirst(6))
        case .client: Substring(description.utf8.dropFirst(7))
        case .all: ""
        }
    }
}

/// Why a topic or client name was refused.
package enum InvalidName: Error, Hashable, CustomStringConvertible {
    case empty
    case tooLong(bytes: Int)
    case forbidden(Unicode.Scalar)

    package static let bytesMax = 255

    package var description: String {
        switch self {
        case .empty: "is empty; 1 to 255 bytes are needed"
        case .tooLong(let bytes): "has \(bytes) bytes; at most 255 are allowed"
        case .forbidden(let scalar):
            "contains U+\(String(scalar.value, radix: 16, uppercase: true)); control characters, white space and braces are not allowed"
        }
    }

    fileprivate static func check(_ name: some StringProtocol) throws(InvalidName) {
        let bytes = name.utf8.count
        guard bytes > 0 else { throw .empty }
        guard bytes <= bytesMax else { throw .tooLong(bytes: bytes) }
        for scalar in name.unicodeScalars {
            if scalar == "{" || scalar == "}" || scalar.properties.isWhitespace
                || scalar.properties.generalCategory == .control
            {
                throw .forbidden(scalar)
            }
        }
    }
}
