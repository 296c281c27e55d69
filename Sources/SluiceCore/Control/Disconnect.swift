// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// An order to every node: end the streams of one client, and perhaps keep it away for a time.
///
/// What `DELETE /clients/<id>` sends, and what a backend may publish on `sluice:control` itself:
/// `PUBLISH sluice:control '{"disconnect":"alice","reconnect":false,"seconds":300}'`.
package struct Disconnect: Equatable, Sendable {
    /// For how long a client may be kept away, in seconds.
    package static let secondsRange = 1...86_400
    package static let secondsDefault = 300

    package let client: String
    /// How long its requests are answered 204; nil: it may come back at once.
    package let exile: TimeAmount?

    package init(client: String, exile: TimeAmount?) {
        self.client = client
        self.exile = exile
    }

    init(_ members: inout MessageMembers) throws(MalformedMessage) {
        let client = try members.client("disconnect")
        let mayReturn = try members.flag("reconnect", default: true)
        let seconds = try members.integer("seconds", Disconnect.secondsRange, default: Disconnect.secondsDefault)
        self.init(client: client, exile: mayReturn ? nil : .seconds(Int64(seconds)))
    }

    var json: String {
        let rest = exile.map { ",\"reconnect\":false,\"seconds\":\($0.nanoseconds / 1_000_000_000)" } ?? ""
        return "{\"disconnect\":\(JSONText.quoted(client))\(rest)}"
    }
}
