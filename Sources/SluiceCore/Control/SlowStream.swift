// SPDX-License-Identifier: Apache-2.0

/// A stream whose client takes less than there is for it: `{"stream":"client:ann","seconds":3.2,"events":120}`.
package struct SlowStream: Equatable, Sendable {
    /// So many of a node are told of.
    package static let countMax = 5
    /// More are nonsense.
    static let secondsMax = 1e9
    private static let nameBytesMax = 128

    /// Its client, or the address that it came from.
    package let name: String
    /// For how long it has not had all that there is for it.
    package let seconds: Double
    /// That the ring has and it has not looked at: of all targets, its own or not. 0: it reads the logs.
    package let events: Int

    package init(name: String, seconds: Double, events: Int) {
        self.name = MessageMembers.beginning(of: name, upTo: SlowStream.nameBytesMax)
        self.seconds = seconds
        self.events = events
    }

    init(json text: some StringProtocol) throws(MalformedMessage) {
        var members = try MessageMembers(json: String(text))
        self.init(
            name: try members.text("stream", upTo: SlowStream.nameBytesMax),
            seconds: min(max(0, members.number("seconds") ?? 0), SlowStream.secondsMax),
            events: try members.integer("events", 0...Int.max, default: 0))
    }

    var json: String {
        let seconds = (seconds * 1000).rounded() / 1000
        return "{\"stream\":\(JSONText.quoted(name)),\"seconds\":\(seconds),\"events\":\(events)}"
    }

    /// The slowest of two lists, the slowest first.
    package static func merged(_ one: [SlowStream], _ other: [SlowStream]) -> [SlowStream] {
        Array((one + other).sorted { $0.seconds > $1.seconds }.prefix(countMax))
    }
}
