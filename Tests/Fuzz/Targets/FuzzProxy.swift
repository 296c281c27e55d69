// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceGateway

extension FuzzTarget {
    /// A PROXY header is the same however its bytes come, and what the client sends behind it changes nothing.
    static func proxy(_ input: FuzzInput) {
        var input = input
        let seed = input.byte()
        let whole = ProxyHeader(parsing: ByteBuffer(bytes: input.bytes))
        var known = 0
        for piece in input.pieces(seed: seed) {
            known += piece.count
            let header = ProxyHeader(parsing: ByteBuffer(bytes: input.bytes.prefix(known)))
            switch (header, whole) {
            case (.incomplete, .complete(let length, _)): precondition(known < length)
            case (.complete(let length, _), _): precondition(header == whole && length <= known)
            case (.incomplete, _): break
            case (.malformed, .malformed): break
            case (.malformed, _): fatalError("what was refused is taken when more has come")
            }
        }
        if case .complete(_, let source?) = whole { check(source) }
    }

    /// An address has one text.
    static func check(_ address: NetworkAddress) {
        precondition(NetworkAddress(address.description) == address)
        precondition(NetworkAddress(node: address.description) == address)
        precondition(address.limitKey.limitKey == address.limitKey)
    }
}
