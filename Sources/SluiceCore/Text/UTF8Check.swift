// SPDX-License-Identifier: Apache-2.0

/// Checks that bytes are UTF-8 (RFC 3629), one by one.
struct UTF8Check {
    private var missing = 0
    /// What the next byte of a character may be.
    private var range: ClosedRange<UInt8> = 0x80...0xBF

    var isBetweenCharacters: Bool { missing == 0 }

    mutating func take(_ byte: UInt8) -> Bool {
        if missing > 0 {
            guard range.contains(byte) else { return false }
            missing -= 1
            range = 0x80...0xBF
            return true
        }
        switch byte {
        case 0xC2...0xDF: missing = 1
        case 0xE0...0xEF:
            missing = 2
            range = byte == 0xE0 ? 0xA0...0xBF : byte == 0xED ? 0x80...0x9F : 0x80...0xBF
        case 0xF0...0xF4:
            missing = 3
            range = byte == 0xF0 ? 0x90...0xBF : byte == 0xF4 ? 0x80...0x8F : 0x80...0xBF
        default: return false
        }
        return true
    }
}
