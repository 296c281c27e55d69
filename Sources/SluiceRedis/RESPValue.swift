// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// A reply of Redis, taken out of hiredis' own memory.
package enum RESPValue: Equatable, Sendable {
    case null
    case integer(Int64)
    case status(String)
    case error(String)
    case bulk(ByteBuffer)
    case array([RESPValue])

    package var string: String? {
        switch self {
        case .bulk(let bytes): String(buffer: bytes)
        case .status(let text): text
        default: nil
        }
    }

    package var array: [RESPValue]? {
        if case .array(let values) = self { values } else { nil }
    }
}
