// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// An order to every node: end the streams of one client, and perhaps keep it away for a time.
///
/// What `DELETE /clients/<id>` sends, and what a backend may publish on `sluice:control` itself:
/// `PUBLISH sluice:control '{"disconnect":"alice","reconnect":false,"seconds":300}'`.
package struct Disconnect: Equatable, Sendable {
    package struct Malformed: Error, Equatable, CustomStringConvertible {
        package let description: String

        package init(description: String) {
            self.description = description
        }
    }

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

    package init(json text: String) throws(Malformed) {
        let members: [ExactText: JSONText.Member]
        do { members = try JSONText.object(text) } catch { throw Malformed(description: "\(error)") }
        for name in members.keys where !["disconnect", "reconnect", "seconds"].contains(name) {
            throw Malformed(description: "unknown member \(JSONText.quoted(name.text.prefix(40)))")
        }
        guard case .string(let client)? = members["disconnect"]?.value else {
            throw Malformed(description: "\"disconnect\" takes a client's id")
        }
        do { _ = try Target.client(client) } catch { throw Malformed(description: "the client \(error)") }
        var mayReturn = true
        switch members["reconnect"]?.value {
        case nil: break
        case .bool(let value)?: mayReturn = value
        default: throw Malformed(description: "\"reconnect\" takes true or false")
        }
        var seconds = Disconnect.secondsDefault
        if let member = members["seconds"] {
            guard let number = Int(member.text), Disconnect.secondsRange.contains(number) else {
                throw Malformed(
                    description: "\"seconds\" takes a whole number from 1 to \(Disconnect.secondsRange.upperBound)")
            }
            seconds = number
        }
        self.init(client: client, exile: mayReturn ? nil : .seconds(Int64(seconds)))
    }

    package var json: String {
        let rest = exile.map { ",\"reconnect\":false,\"seconds\":\($0.nanoseconds / 1_000_000_000)" } ?? ""
        return "{\"disconnect\":\(JSONText.quoted(client))\(rest)}"
    }
}
