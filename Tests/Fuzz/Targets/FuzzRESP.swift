// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceRedis

extension FuzzTarget {
    /// Replies read the same wherever the network splits them, and as pushes they have the parts that they have as values.
    static func resp(_ input: FuzzInput) {
        var input = input
        let seed = input.byte()
        let whole = replies([input.bytes])
        let split = replies(input.pieces(seed: seed))
        precondition(split == whole)
    }

    private struct Replies: Equatable {
        var values: [RESPValue] = []
        var isWhole = true
    }

    private static func replies(_ pieces: [UnsafeRawBufferPointer]) -> Replies {
        let reader = RESPReader(replyBytesMax: 1 << 20)
        var result = Replies()
        do throws(RESPError) {
            for piece in pieces {
                try reader.read(piece) { reply in
                    let value = reply.value
                    result.values.append(value)
                    check(
                        reply.withPush { [ByteBuffer(bytes: $0), ByteBuffer(bytes: $1), ByteBuffer(bytes: $2)] },
                        of: value)
                }
            }
        } catch {
            result.isWhole = false
        }
        return result
    }

    private static func check(_ push: [ByteBuffer]?, of value: RESPValue) {
        guard let array = value.array, array.count >= 2 else { return precondition(push == nil) }
        guard let push else { fatalError("a push of \(array.count) parts is not taken for one") }
        for (bytes, element) in zip(push, array) {
            if case .bulk(let expected) = element { precondition(bytes == expected) }
        }
    }
}
