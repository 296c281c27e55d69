// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceGateway
import Testing

@Suite("The PROXY header")
struct ProxyHeaderTests {
    static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

    static func block(_ command: UInt8, _ family: UInt8, _ rest: [UInt8], length: Int? = nil) -> [UInt8] {
        let length = length ?? rest.count
        return signature + [command, family, UInt8(length >> 8 & 0xFF), UInt8(length & 0xFF)] + rest
    }

    static let addresses4: [UInt8] = [192, 0, 2, 1, 198, 51, 100, 2, 0xDC, 0x04, 0x01, 0xBB]
    static let addresses6: [UInt8] =
        [0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] + [UInt8](repeating: 1, count: 20)

    private func parse(_ bytes: some Sequence<UInt8>) -> ProxyHeader {
        // Not at the beginning of its buffer, as after an earlier read.
        var buffer = ByteBuffer(bytes: [1, 2, 3] + Array(bytes))
        buffer.moveReaderIndex(forwardBy: 3)
        return ProxyHeader(parsing: buffer)
    }

    static let whole: [(bytes: [UInt8], source: String?)] = [
        (Array("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n".utf8), "192.0.2.1"),
        (Array("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n".utf8), "255.255.255.255"),
        (Array("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n".utf8), "0.0.0.0"),
        (Array("PROXY TCP6 2001:db8::1 ::1 1 2\r\n".utf8), "2001:db8::1"),
        (Array("PROXY UNKNOWN\r\n".utf8), nil),
        (Array("PROXY UNKNOWN ffff:f...f:ffff whatever 65535\r\n".utf8), nil),
        (Array(("PROXY UNKNOWN " + String(repeating: "x", count: 91) + "\r\n").utf8), nil),
        (block(0x21, 0x11, addresses4), "192.0.2.1"),
        (block(0x21, 0x21, addresses6), "2001:db8::1"),
        (block(0x21, 0x11, addresses4 + [0x04, 0, 3, 1, 2, 3]), "192.0.2.1"),  // with a TLV
        (block(0x21, 0x21, addresses6 + [UInt8](repeating: 9, count: 4096 - 36)), "2001:db8::1"),
        (block(0x20, 0x00, []), nil),  // LOCAL
        (block(0x20, 0x11, addresses4), nil),
        (block(0x20, 0xFF, [1, 2, 3]), nil),
        (block(0x21, 0x00, [1, 2, 3]), nil),  // unspecified
        (block(0x21, 0x31, [UInt8](repeating: 0x2F, count: 216)), nil),  // Unix
        (block(0x21, 0x12, addresses4), nil),  // datagrams
    ]

    @Test("gives the client's address, and the bytes behind it stay", arguments: whole)
    func complete(bytes: [UInt8], source: String?) {
        let expected = ProxyHeader.complete(length: bytes.count, source: source.flatMap { NetworkAddress($0) })
        #expect(parse(bytes) == expected)
        #expect(parse(bytes + Array("GET / HTTP/1.1\r\n".utf8)) == expected)
        #expect(parse(bytes + bytes) == expected)
    }

    @Test("is waited for, wherever it is cut", arguments: whole)
    func split(bytes: [UInt8], source: String?) {
        for count in 0..<bytes.count {
            #expect(parse(bytes.prefix(count)) == .incomplete, "\(count) of \(bytes.count) bytes")
        }
    }

    @Test(
        "is refused where a line is not as it must be",
        arguments: [
            "GET / HTTP/1.1\r\n", "P GET", "proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n", "\r\n\r\nGET", "\n", "PROXYTCP4",
            "PROXY \r\n", "PROXY TCP\r\n", "PROXY tcp4 1.1.1.1 1.1.1.1 1 1\r\n", "PROXY TCP4\r\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n",
            "PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 +1 1\r\n",
            "PROXY TCP4 01.1.1.1 1.1.1.1 1 1\r\n", "PROXY TCP4 1.1.1.1 x 1 1\r\n", "PROXY TCP4 ::1 ::1 1 1\r\n",
            "PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n", "PROXY TCP6 [::1] ::1 1 1\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 1 1\rx",
            "PROXY UNKNOWNX\r\n", "PROXY UNKNOWN\rx\r\n",
            "PROXY UNKNOWN " + String(repeating: "x", count: 92) + "\r\n",
            "PROXY UNKNOWN " + String(repeating: "x", count: 93),
        ])
    func badLine(text: String) {
        guard case .malformed(let reason) = parse(text.utf8) else {
            Issue.record("\(text.debugDescription): \(parse(text.utf8))")
            return
        }
        #expect(!reason.isEmpty)
    }

    @Test(
        "is refused where a block is not as it must be",
        arguments: [
            block(0x11, 0x11, addresses4), block(0x31, 0x11, addresses4), block(0x22, 0x11, addresses4),
            block(0x01, 0x11, addresses4), block(0x21, 0x41, addresses4), block(0x21, 0x13, addresses4),
            block(0x21, 0x11, Array(addresses4.dropLast())), block(0x21, 0x21, Array(addresses6.dropLast())),
            block(0x21, 0x11, [], length: 4097), block(0x20, 0x00, [], length: 65535),
        ])
    func badBlock(bytes: [UInt8]) {
        guard case .malformed = parse(bytes) else {
            Issue.record("\(bytes): \(parse(bytes))")
            return
        }
    }
}
