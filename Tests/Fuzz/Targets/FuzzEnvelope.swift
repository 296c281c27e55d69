// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

extension FuzzTarget {
    /// An envelope that is taken is legal, and encoded again it decodes to the same; plain data is left alone.
    static func envelope(_ input: FuzzInput) {
        guard let envelope = try? Envelope(decoding: input.bytes) else {
            precondition(input.bytes.first == Envelope.mark)
            return
        }
        guard input.bytes.first == Envelope.mark else {
            precondition(envelope == Envelope())
            return
        }
        if let type = envelope.type { precondition(EventLabel.problem(type: type) == nil) }
        if let key = envelope.key { precondition(EventLabel.problem(key: key) == nil) }
        let data = input.bytes.dropFirst(envelope.dataOffset)
        var buffer = ByteBuffer()
        envelope.encode(data: data, into: &buffer)
        buffer.withUnsafeReadableBytes { bytes in
            guard var again = try? Envelope(decoding: bytes) else { fatalError("what was encoded is not taken") }
            precondition(bytes.dropFirst(again.dataOffset).elementsEqual(data))
            again.dataOffset = envelope.dataOffset
            precondition(again == envelope)
        }
    }
}
