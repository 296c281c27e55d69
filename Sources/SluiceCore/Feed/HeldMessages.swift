// SPDX-License-Identifier: Apache-2.0
import DequeModule
import NIOCore

/// Messages that have arrived and wait until what is missing before them has been read.
struct HeldMessages {
    /// What a message costs beside its bytes.
    private static let messageBytes = 64

    private var messages: Deque<(payload: ByteBuffer, number: TargetNumber)> = []
    private(set) var bytes = 0

    var isEmpty: Bool { messages.isEmpty }

    private static func size(_ payload: ByteBuffer) -> Int { payload.readableBytes + messageBytes }

    mutating func append(_ payload: UnsafeRawBufferPointer, for number: TargetNumber) {
        messages.append((ByteBuffer(bytes: payload), number))
        bytes += payload.count + HeldMessages.messageBytes
    }

    mutating func popFirst() -> (payload: ByteBuffer, number: TargetNumber)? {
        guard let first = messages.popFirst() else { return nil }
        bytes -= HeldMessages.size(first.payload)
        return first
    }

    /// Forgets what is held of the noisiest targets, until no more than `bytesMax` is held.
    ///
    /// - Returns: those targets.
    mutating func shed(to bytesMax: Int) -> [TargetNumber] {
        var sizes: [TargetNumber: Int] = [:]
        for (payload, number) in messages { sizes[number, default: 0] += HeldMessages.size(payload) }
        var noisy: Set<TargetNumber> = []
        for (number, size) in sizes.sorted(by: { $0.value > $1.value }) where bytes > bytesMax {
            noisy.insert(number)
            bytes -= size
        }
        messages.removeAll { noisy.contains($0.number) }
        return Array(noisy)
    }
}
