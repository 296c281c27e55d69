// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// What a node sends to itself, over its own channel, to see that its feed is alive.
package enum NodeMessage {
    /// From the function.
    case tick(ClockReading)
    /// In place of a tick that Redis refuses: it needs no write.
    case alive

    private static let aliveText = "alive"

    /// nil for what is neither.
    package init?(_ payload: UnsafeRawBufferPointer) {
        if payload.elementsEqual(NodeMessage.aliveText.utf8) {
            self = .alive
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
