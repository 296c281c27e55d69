// SPDX-License-Identifier: Apache-2.0

/// What a node says of itself in the registry, the hash `sluice:node:<id>`.
package struct NodeEntry: Equatable, Sendable {
    private static let textBytesMax = 256
    /// More are nonsense, and their sum over all nodes would be none that a number can hold.
    private static let streamsRange = 0...1_000_000_000

    package var version: String
    /// In milliseconds since 1970.
    package var started: Int
    /// Where its public listener is.
    package var listen: String
    package var streams: Int
    package var isReady: Bool
    package var isDraining: Bool

    package init(version: String, started: Int, listen: String, streams: Int, isReady: Bool, isDraining: Bool) {
        self.version = version
        self.started = started
        self.listen = listen
        self.streams = streams
        self.isReady = isReady
        self.isDraining = isDraining
    }

    package static let fieldNames = ["version", "started", "listen", "streams", "ready", "draining"]

    /// In the order of ``fieldNames``.
    package var fieldValues: [String] {
        [version, "\(started)", listen, "\(streams)", isReady ? "1" : "0", isDraining ? "1" : "0"]
    }

    /// - Parameter values: in the order of ``fieldNames``.
    /// - Returns: nil if the entry is gone, or none.
    package init?(fieldValues values: [String?]) {
        guard values.count == NodeEntry.fieldNames.count, let version = values[0],
            let started = values[1].flatMap({ Int($0) }), started >= 0, let listen = values[2],
            let streams = values[3].flatMap({ Int($0) }), NodeEntry.streamsRange.contains(streams)
        else { return nil }
        self.init(
            version: MessageMembers.beginning(of: version, upTo: NodeEntry.textBytesMax), started: started,
            listen: MessageMembers.beginning(of: listen, upTo: NodeEntry.textBytesMax), streams: streams,
            isReady: values[4] == "1", isDraining: values[5] == "1")
    }

    init(_ members: inout MessageMembers) throws(MalformedMessage) {
        self.init(
            version: try members.text("version", upTo: NodeEntry.textBytesMax),
            started: try members.integer("started", 0...Int.max),
            listen: try members.text("listen", upTo: NodeEntry.textBytesMax),
            streams: try members.integer("streams", NodeEntry.streamsRange),
            isReady: try members.flag("ready", default: false),
            isDraining: try members.flag("draining", default: false))
    }

    /// The members of a JSON object.
    package var members: String {
        "\"version\":\(JSONText.quoted(version)),\"started\":\(started),\"listen\":\(JSONText.quoted(listen)),"
            + "\"streams\":\(streams),\"ready\":\(isReady),\"draining\":\(isDraining)"
    }
}
