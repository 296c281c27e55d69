// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// What comes over a node's own channel: what it sends to itself, to see that its feed is alive, and answers of other nodes.
package enum NodeMessage {
    /// From the function.
    case tick(ClockReading)
    /// In place of a tick that Redis refuses: it needs no write.
    case alive
    /// To a question of this node; the bytes are valid during the call only.
    case answer(UnsafeRawBufferPointer)

    private static let aliveText = "alive"

    /// nil for what is none of these.
    package init?(_ payload: UnsafeRawBufferPointer) {
        if payload.elementsEqual(NodeMessage.aliveText.utf8) {
            self = .alive
        } else if payload.first == UInt8(ascii: "{") {
            self = .answer(payload)
        } else if let reading = ClockReading(tick: payload) {
            self = .tick(reading)
        } else {
            return nil
        }
    }

    /// Publishes ``alive``.
    package static func signOfLife(node channel: String, of partitioning: Partitioning = .single) -> RESPCommand {
        .publish(ByteBuffer(string: aliveText), on: channel, of: partitioning)
    }
}
