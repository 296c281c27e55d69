// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOEmbedded
import SluiceGateway
import TestSupport

/// A node with one connection. Nothing of an earlier input is left in it, so that what was found can be found again.
final class FuzzNode {
    private let embedded = EmbeddedNode()

    /// Sends the pieces, one turn of the loop for each, and closes.
    ///
    /// - Returns: the statuses of the HTTP/1 responses; of HTTP/2 nothing.
    func statuses(of pieces: [UnsafeRawBufferPointer]) -> [String] {
        let loop = embedded.loop
        var output = ByteBuffer()
        do {
            let channel = try embedded.connect()
            for piece in pieces where channel.isActive {
                try channel.writeInbound(ByteBuffer(bytes: piece))
                loop.run()
            }
            loop.advanceTime(by: .milliseconds(300))
            while var bytes = try channel.readOutbound(as: ByteBuffer.self) { output.writeBuffer(&bytes) }
            _ = try? channel.finish(acceptAlreadyClosed: true)
            loop.run()
            let counters = embedded.node.counters
            precondition(counters.streamsOpen.value == 0, "a stream without a connection")
            precondition(counters.connectionsOpen.value == 0, "a connection that is closed is still counted")
            try embedded.stop()
        } catch {
            fatalError("\(error)")
        }
        return statuses(in: output)
    }

    private func statuses(in output: ByteBuffer) -> [String] {
        let start = "HTTP/1.1 ".utf8
        var statuses: [String] = []
        // What is published can hold such a line, too, but behind "data: " and escaped in JSON.
        output.withUnsafeReadableBytes { bytes in
            var input = FuzzInput(bytes)
            while !input.bytes.isEmpty {
                let line = input.line()
                if line.starts(with: start) { statuses.append(String(decoding: line, as: UTF8.self)) }
            }
        }
        return statuses
    }
}
