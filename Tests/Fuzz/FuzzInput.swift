// SPDX-License-Identifier: Apache-2.0

/// One input of the fuzzer, taken apart from the front.
///
/// The bytes belong to libFuzzer and are valid for one execution.
struct FuzzInput {
    private(set) var bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// 0 where nothing is left.
    mutating func byte() -> UInt8 {
        guard let first = bytes.first else { return 0 }
        bytes = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
        return first
    }

    /// What comes before the next LF, which is taken, too; all if there is none.
    mutating func line() -> UnsafeRawBufferPointer {
        let line = UnsafeRawBufferPointer(rebasing: bytes.prefix { $0 != UInt8(ascii: "\n") })
        bytes = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(line.count + 1))
        return line
    }

    /// All that is left; bytes that are not UTF-8 are replaced.
    var text: String { String(decoding: bytes, as: UTF8.self) }

    /// All that is left in pieces, as a network might bring it: their lengths, 1 to 32 bytes or all, follow from `seed`.
    func pieces(seed: UInt8) -> [UnsafeRawBufferPointer] {
        guard seed > 0 else { return [bytes] }
        var pieces: [UnsafeRawBufferPointer] = []
        var rest = bytes[...]
        var state = UInt32(seed)
        while !rest.isEmpty {
            state = state &* 1_664_525 &+ 1_013_904_223
            let piece = rest.prefix(1 + Int(state >> 24) % (1 + Int(seed) % 32))
            pieces.append(UnsafeRawBufferPointer(rebasing: piece))
            rest = rest.dropFirst(piece.count)
        }
        return pieces
    }
}
