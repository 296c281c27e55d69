// SPDX-License-Identifier: Apache-2.0
import Glibc
import SluiceCore

extension NodeID {
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
