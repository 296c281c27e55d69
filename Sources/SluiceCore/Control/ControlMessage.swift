// SPDX-License-Identifier: Apache-2.0

/// A message to every node, on the control channel: JSON with a member that names its kind.
///
/// Nodes of two versions run side by side during a deploy. So what a node does not know, a kind or a member, it ignores and
/// counts, and obeys the rest.
package enum ControlMessage: Equatable, Sendable {
    case disconnect(Disconnect)
    case pause(Pause)
    case survey(SurveyQuestion)

    /// A message that was read, and how much of it is not known here.
    package struct Reading: Equatable, Sendable {
        /// nil: of a kind that is not known.
        package let message: ControlMessage?
        /// Members, or the message itself.
        package let unknown: Int

        package init(message: ControlMessage?, unknown: Int) {
            self.message = message
            self.unknown = unknown
        }
    }

    /// An order is short.
    private static let bytesMax = 4096
    /// A question has many names, each of which may have 255 characters that are escaped.
    private static let surveyBytesMax = 600 * 1024

    /// - Throws: ``MalformedMessage``.
    package static func read(_ bytes: UnsafeRawBufferPointer) throws(MalformedMessage) -> Reading {
        // Nobody else may make a node read so much.
        let isSurvey = bytes.starts(with: "{\"survey\":".utf8)
        guard bytes.count <= (isSurvey ? surveyBytesMax : bytesMax), let text = String(validating: bytes, as: UTF8.self)
        else { throw MalformedMessage(description: "it is no text, or too long") }
        var members = try MessageMembers(json: text)
        let message: ControlMessage
        if members.has("disconnect") {
            message = .disconnect(try Disconnect(&members))
        } else if members.has("pause") {
            message = .pause(try Pause(&members))
        } else if members.has("survey") {
            message = .survey(try SurveyQuestion(&members))
        } else {
            return Reading(message: nil, unknown: 1)
        }
        return Reading(message: message, unknown: members.left)
    }

    package var json: String {
        switch self {
        case .disconnect(let order): order.json
        case .pause(let order): order.json
        case .survey(let question): question.json
        }
    }
}
