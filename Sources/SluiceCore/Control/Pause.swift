// SPDX-License-Identifier: Apache-2.0

/// An order to every node: end the streams of one client, and tell it to come back after a time.
///
/// What `POST /clients/<id>/pause` sends: `PUBLISH sluice:control '{"pause":"alice","seconds":60}'`.
package struct Pause: Equatable, Sendable {
    package static let secondsRange = 1...86_400

    package let client: String
    package let seconds: Int

    package init(client: String, seconds: Int) {
        self.client = client
        self.seconds = seconds
    }

    init(_ members: inout MessageMembers) throws(MalformedMessage) {
        let client = try members.client("pause")
        self.init(client: client, seconds: try members.integer("seconds", Pause.secondsRange))
    }

    var json: String { "{\"pause\":\(JSONText.quoted(client)),\"seconds\":\(seconds)}" }
}
