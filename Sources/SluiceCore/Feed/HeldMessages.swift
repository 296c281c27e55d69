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

    /// What was forgotten of one target.
    struct Shed {
        /// The newest that its log has; `.zero`: none.
        var logged = EventID.zero
        /// Something of it is in no log.
        var hasLiveOnly = false
    }

    /// Forgets what is held of the noisiest targets, until no more than `bytesMax` is held.
    ///
    /// - Returns: those targets.
    mutating func shed(to bytesMax: Int) -> [TargetNumber: Shed] {
        var sizes: [TargetNumber: Int] = [:]
        for (payload, number) in messages { sizes[number, default: 0] += HeldMessages.size(payload) }
        var noisy: [TargetNumber: Shed] = [:]
        for (number, size) in sizes.sorted(by: { $0.value > $1.value }) where bytes > bytesMax {
            noisy[number] = Shed()
            bytes -= size
        }
        for (payload, number) in messages {
            guard var shed = noisy[number] else { continue }
            if let id = payload.withUnsafeReadableBytes({ (try? Envelope(decoding: $0))?.id }) {
                shed.logged = max(shed.logged, id)
            } else {
                shed.hasLiveOnly = true
            }
            noisy[number] = shed
        }
        messages.removeAll { noisy[$0.number] != nil }
        return noisy
    }
}
