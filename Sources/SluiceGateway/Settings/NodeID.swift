// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The name of a node: part of a header and of a Redis name.
package enum NodeID {
    package static func isValid(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "._-".utf8.contains(byte)
                }
            }
    }

    /// The host's name and a random part, so that two nodes of one host differ.
    package static func made() -> String {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        let host = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let random = String(UInt32.random(in: 0...0xFFFFFF), radix: 16)
        let part = String(host.prefix(48))
        return isValid(part) ? "\(part)-\(random)" : "node-\(random)"
    }
}
