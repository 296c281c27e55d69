// SPDX-License-Identifier: Apache-2.0

/// How Redis Cluster finds a key's slot, before it takes the remainder by 16384 (Redis Cluster specification, appendix A).
package enum KeyHash {
    private static let table: [UInt16] = (0..<256).map { byte in
        (0..<8).reduce(UInt16(byte) << 8) { sum, _ in sum & 0x8000 == 0 ? sum << 1 : sum << 1 ^ 0x1021 }
    }

    /// CRC-16/XMODEM.
    package static func crc16(_ bytes: some Sequence<UInt8>) -> UInt16 {
        bytes.reduce(0) { sum, byte in sum << 8 ^ table[Int(UInt8(sum >> 8) ^ byte)] }
    }
}
