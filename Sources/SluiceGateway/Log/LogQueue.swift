// SPDX-License-Identifier: Apache-2.0

/// Lines that wait to be written, bounded in bytes: what comes when it is full is dropped and counted.
package struct LogQueue {
    private let bytesMax: Int
    private var bytes: [UInt8] = []
    private var dropped = 0

    package init(bytesMax: Int) {
        self.bytesMax = bytesMax
    }

    package var isEmpty: Bool { bytes.isEmpty }

    /// - Returns: whether there was room.
    package mutating func append(_ line: String) -> Bool {
        guard bytes.count + line.utf8.count <= bytesMax else {
            dropped += 1
            return false
        }
        bytes += line.utf8
        return true
    }

    /// All lines that wait, and how many after them found no room; nil if there are none.
    package mutating func take() -> (bytes: [UInt8], dropped: Int)? {
        guard !bytes.isEmpty else { return nil }
        defer {
            bytes = []
            dropped = 0
        }
        return (bytes, dropped)
    }
}
