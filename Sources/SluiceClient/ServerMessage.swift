// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1
import SluiceCore

/// What a server says with an error status, in one line: the message of a Sluice's JSON, or else the reason phrase.
package struct ServerMessage: CustomStringConvertible {
    package let description: String

    package init(status: HTTPResponseStatus, body: String) {
        if let members = try? JSONText.object(body), case .string(let message) = members["message"]?.value {
            description = "\(status.code) \(status.reasonPhrase): \(message)"
        } else {
            description = "\(status.code) \(status.reasonPhrase)"
        }
    }
}
