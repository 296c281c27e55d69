// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceRedis

extension RESPReader {
    /// Everything that is complete with these bytes.
    func values(in bytes: [UInt8]) throws(RESPError) -> [RESPValue] {
        var values: [RESPValue] = []
        var failure: RESPError?
        bytes.withUnsafeBytes { bytes in
            do throws(RESPError) {
                try read(bytes) { values.append($0.value) }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return values
    }
}

extension RESPValue {
    static func text(_ text: String) -> RESPValue { .bulk(ByteBuffer(string: text)) }
}
