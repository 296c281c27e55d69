// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// What a load balancer says of a connection before the client's first byte: the PROXY protocol, versions 1 and 2, as
/// HAProxy's `proxy-protocol.txt` has it.
package enum ProxyHeader: Equatable {
    /// The bytes so far may become a header.
    case incomplete
    /// The header has `length` bytes.
    ///
    /// - Parameter source: the client's address; nil if the balancer speaks for itself (`LOCAL`, its health checks) or
    ///   does not know or say it: then the connection's own peer counts.
    case complete(length: Int, source: NetworkAddress?)
    case malformed(String)

    /// A user event for the handlers behind the header: the address of the connection's client.
    package struct Source: Equatable, Sendable {
        package let address: NetworkAddress
    }

    /// Of version 1, with CR LF.
    private static let lineBytesMax = 107
    /// What may follow the 16 fixed bytes of version 2: addresses, and extras that are skipped (certificates' names).
    private static let blockBytesMax = 4096
    private static let lineStart = Array("PROXY ".utf8)
    private static let signature: [UInt8] = [
        0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
    ]

    /// Looks at the first bytes of a connection; it costs little to look again when more have come.
    package init(parsing buffer: ByteBuffer) {
        let bytes = buffer.readableBytesView
        if bytes.starts(with: ProxyHeader.signature) {
            self = ProxyHeader.block(buffer)
        } else if bytes.starts(with: ProxyHeader.lineStart) {
            self = ProxyHeader.line(bytes)
        } else if ProxyHeader.signature.starts(with: bytes) || ProxyHeader.lineStart.starts(with: bytes) {
            self = .incomplete
        } else {
            self = .malformed("the connection does not begin with a PROXY header")
        }
    }

    // MARK: Version 1

    private static func line(_ bytes: ByteBufferView) -> ProxyHeader {
        let start = bytes.prefix(lineBytesMax)
        guard let end = start.firstIndex(of: 0x0D), end + 1 < start.endIndex else {
            return start.count < lineBytesMax ? .incomplete : .malformed("the line has more than 107 bytes")
        }
        guard start[end + 1] == 0x0A else { return .malformed("CR without LF") }
        let length = end + 2 - bytes.startIndex
        let text = Substring(decoding: start[..<end].dropFirst(lineStart.count), as: UTF8.self)
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        // Whatever follows it is to be ignored.
        if words[0] == "UNKNOWN" { return .complete(length: length, source: nil) }
        guard words.count == 5, words[0] == "TCP4" || words[0] == "TCP6" else {
            return .malformed("the line is not TCP4, TCP6 or UNKNOWN with two addresses and two ports")
        }
        let isDotted = words[0] == "TCP4"
        guard words[1...2].allSatisfy({ $0.contains(":") != isDotted }), let source = NetworkAddress(words[1]),
            NetworkAddress(words[2]) != nil
        else { return .malformed("not two addresses of \(words[0])") }
        guard words[3...4].allSatisfy(isPort) else { return .malformed("not two ports") }
        return .complete(length: length, source: source)
    }

    /// Without leading zeros.
    private static func isPort(_ text: Substring) -> Bool {
        UInt16(text).map { String($0) == text } ?? false
    }

    // MARK: Version 2

    private static func block(_ buffer: ByteBuffer) -> ProxyHeader {
        var rest = buffer
        rest.moveReaderIndex(forwardBy: signature.count)
        guard let (command, family, blockLength) = rest.readMultipleIntegers(as: (UInt8, UInt8, UInt16).self) else {
            return .incomplete
        }
        guard command == 0x20 || command == 0x21 else { return .malformed("version and command \(command)") }
        guard blockLength <= blockBytesMax else { return .malformed("\(blockLength) bytes of addresses") }
        guard rest.readableBytes >= blockLength else { return .incomplete }
        let length = buffer.readableBytes - rest.readableBytes + Int(blockLength)
        if command == 0x20 { return .complete(length: length, source: nil) }
        guard family >> 4 <= 3, family & 0xF <= 2 else { return .malformed("address family \(family)") }
        switch family {
        case 0x11:  // TCP over IPv4
            guard blockLength >= 12, let address = rest.readInteger(as: UInt32.self) else {
                return .malformed("too short for two IPv4 addresses")
            }
            return .complete(length: length, source: NetworkAddress(ipv4: address))
        case 0x21:  // TCP over IPv6
            guard blockLength >= 36, let (high, low) = rest.readMultipleIntegers(as: (UInt64, UInt64).self) else {
                return .malformed("too short for two IPv6 addresses")
            }
            return .complete(length: length, source: NetworkAddress(high: high, low: low))
        default:  // unspecified, a Unix socket, or datagrams
            return .complete(length: length, source: nil)
        }
    }
}
