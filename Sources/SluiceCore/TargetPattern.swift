// SPDX-License-Identifier: Apache-2.0

/// Names targets in a grant: one exactly, or all that begin alike.
///
///     news            the topic news
///     news.*          the topics that begin with "news."
///     *               all topics
///     topic:news      the topic news
///     client:ann-*    the clients that begin with "ann-"
///
/// Only a `*` at the end means "and whatever follows"; elsewhere it is a plain character, as in a ``Target``. So a name
/// that ends in `*` can't be named alone. A topic whose own name begins with `topic:` or `client:` needs `topic:` before
/// it. Like targets, patterns match by bytes: nothing is normalised, upper case is not lower case.
package struct TargetPattern: Hashable, Sendable, CustomStringConvertible {
    /// As it was written.
    package let description: String
    /// `.topic` or `.client`.
    package let kind: Target.Kind
    private let stem: Substring
    private let isPrefix: Bool

    /// - Throws: what is wrong with the name, or with what stands before the `*`.
    package init(_ text: some StringProtocol) throws(InvalidName) {
        description = String(text)
        var name = description[...].utf8
        if name.starts(with: "client:".utf8) {
            kind = .client
            name = name.dropFirst(7)
        } else {
            kind = .topic
            if name.starts(with: "topic:".utf8) { name = name.dropFirst(6) }
        }
        isPrefix = name.last == UInt8(ascii: "*")
        if isPrefix { name = name.dropLast() }
        stem = Substring(name)
        if !isPrefix || !stem.isEmpty { _ = try Target.topic(stem) }
    }

    /// The bare `*`, without a kind. Where publishing is granted it means more than all topics: see ``Grant``.
    package var isBareStar: Bool { description.utf8.elementsEqual("*".utf8) }

    /// False for `.all`, which no pattern names.
    package func matches(_ target: Target) -> Bool {
        guard target.kind == kind else { return false }
        let name = target.name.utf8
        return isPrefix ? name.starts(with: stem.utf8) : name.elementsEqual(stem.utf8)
    }

    package static func == (left: TargetPattern, right: TargetPattern) -> Bool {
        left.description.utf8.elementsEqual(right.description.utf8)
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(description)
    }
}
