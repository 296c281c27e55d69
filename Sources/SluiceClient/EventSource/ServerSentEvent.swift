// SPDX-License-Identifier: Apache-2.0

/// One event of an event stream.
public struct ServerSentEvent: Equatable, Sendable {
    /// `message` where the stream names none.
    public let type: String
    /// Its lines are joined by LF.
    public let data: String
    /// The id that this event's own block brought; nil if there was none.
    public let id: String?
    /// The cursor after this event: its own id, or the newest one before it.
    public let lastEventID: String

    public init(type: String = "message", data: String, id: String? = nil, lastEventID: String = "") {
        self.type = type
        self.data = data
        self.id = id
        self.lastEventID = lastEventID
    }
}
