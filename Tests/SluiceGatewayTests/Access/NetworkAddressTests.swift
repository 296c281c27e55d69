// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceGateway
import Testing

@Suite("A network address")
struct NetworkAddressTests {
    @Test(
        "is read and shown in its usual form",
        arguments: [
            ("192.0.2.1", "192.0.2.1"), ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"),
            ("2001:DB8:0:0::1", "2001:db8::1"), ("::", "::"), ("::1", "::1"), ("::ffff:192.0.2.1", "192.0.2.1"),
            ("0000:0000:0000:0000:0000:ffff:192.168.100.228", "192.168.100.228"),
        ])
    func read(text: String, shown: String) throws {
        #expect(try #require(NetworkAddress(text)).description == shown)
    }

    @Test(
        "is nothing else",
        arguments: [
            "", " ", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ", " 1.2.3.4", "1.2.3.4\0", "0x7f.1",
            "127.1", ":", ":::", "1::2::3", "12345::", "g::", "[::1]", "::1%lo", "1.2.3.4:80", "localhost", "١.2.3.4",
            String(repeating: "0:", count: 40),
        ])
    func refused(text: String) {
        #expect(NetworkAddress(text) == nil)
    }

    @Test(
        "is read as proxies write it",
        arguments: [
            ("192.0.2.1", "192.0.2.1"), ("192.0.2.1:80", "192.0.2.1"), ("192.0.2.1:_x", "192.0.2.1"),
            ("[2001:db8::1]", "2001:db8::1"), ("[2001:db8::1]:65535", "2001:db8::1"), ("2001:db8::1", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"), ("[fe80::1%eth0]:80", "fe80::1"), ("::ffff:192.0.2.1", "192.0.2.1"),
        ])
    func node(text: String, shown: String) throws {
        #expect(try #require(NetworkAddress(node: text)).description == shown)
    }

    @Test(
        "is not read from what is no address and port",
        arguments: [
            "", "unknown", "_hidden", "[", "[]", "[::1", "::1]", "[::1]80", "[::1]:", "[::1]:65536", "[1.2.3.4]",
            "1.2.3.4:", "1.2.3.4:x", "1.2.3.4:-1", "1.2.3.4:+1", "1.2.3.4:123456", "1.2.3.4:_", "1.2.3.4%eth0",
            "a.example:80", "%", "%eth0", "1.2.3.4:80:80",
        ])
    func noNode(text: String) {
        #expect(NetworkAddress(node: text) == nil)
    }

    @Test(
        "of a socket is the one that was dialled, also where a dual-stack socket maps it",
        arguments: [("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::1")])
    func socket(text: String, shown: String) throws {
        let address = try SocketAddress(ipAddress: text, port: 1234)
        #expect(try #require(NetworkAddress(address)).description == shown)
        #expect(NetworkAddress(try SocketAddress(unixDomainSocketPath: "/tmp/x")) == nil)
    }

    @Test("knows loopback")
    func loopback() throws {
        for text in ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"] {
            #expect(try #require(NetworkAddress(text)).isLoopback, "\(text)")
        }
        for text in ["126.255.255.255", "128.0.0.1", "::", "::2", "::7f00:1", "1::1", "0.0.0.0"] {
            #expect(try #require(NetworkAddress(text)).isLoopback == false, "\(text)")
        }
    }

    @Test("is limited by itself, or by its 64 bits of network for IPv6")
    func limitKey() throws {
        func key(_ text: String) throws -> NetworkAddress { try #require(NetworkAddress(text)).limitKey }
        #expect(try key("192.0.2.1") != key("192.0.2.2"))
        #expect(try key("192.0.2.1") == key("::ffff:192.0.2.1"))
        #expect(try key("2001:db8:1:2::1") == key("2001:db8:1:2:ffff:ffff:ffff:ffff"))
        #expect(try key("2001:db8:1:2::1") != key("2001:db8:1:3::1"))
    }

    @Test(
        "of a tunnel is limited as the IPv4 address that it has in it",
        arguments: [
            ("2002:c000:201::1", "192.0.2.1"), ("2002:c000:201:ffff::1", "192.0.2.1"),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "192.0.2.45"), ("64:ff9b::c000:201", "192.0.2.1"),
        ])
    func tunnels(text: String, ipv4: String) throws {
        let address = try #require(NetworkAddress(text))
        #expect(address.limitKey.description == ipv4 && address.site == nil && address.party.description == ipv4)
        #expect(address.description != ipv4)
    }

    @Test("of IPv6 has a site, its first 48 bits; one of IPv4 has none")
    func site() throws {
        func site(_ text: String) throws -> String? { try #require(NetworkAddress(text)).site?.description }
        #expect(try site("2001:db8:1:2:3:4:5:6") == "2001:db8:1::")
        #expect(try site("2001:db8:1:ffff::") == "2001:db8:1::")
        #expect(try site("2001:db8:2::") == "2001:db8:2::")
        #expect(try site("192.0.2.1") == nil && site("::ffff:192.0.2.1") == nil)
    }
}

@Suite("A network range")
struct NetworkRangeTests {
    @Test(
        "holds what begins with its bits",
        arguments: [
            (
                "10.0.0.0/8", ["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"],
                ["9.255.255.255", "11.0.0.0", "::a00:1"]
            ),
            ("192.0.2.1", ["192.0.2.1"], ["192.0.2.0", "192.0.2.2"]),
            ("192.0.2.0/31", ["192.0.2.0", "192.0.2.1"], ["192.0.2.2"]),
            ("0.0.0.0/0", ["0.0.0.0", "255.255.255.255"], ["::1", "2001:db8::1"]),
            ("::/0", ["::1", "ffff::"], ["10.0.0.1"]),
            ("fd00::/8", ["fd00::", "fdff::1"], ["fc00::1", "fe00::1", "10.0.0.1"]),
            ("2001:db8::/65", ["2001:db8::7fff:ffff:ffff:ffff"], ["2001:db8::8000:0:0:0"]),
            ("::1/128", ["::1"], ["::", "::2"]), ("::ffff:10.0.0.0/104", ["10.9.9.9"], ["11.0.0.0"]),
        ])
    func contains(text: String, inside: [String], outside: [String]) throws {
        let range = try NetworkRange(text)
        for text in inside { #expect(range.contains(try #require(NetworkAddress(text))), "\(text)") }
        for text in outside { #expect(!range.contains(try #require(NetworkAddress(text))), "\(text)") }
    }

    @Test(
        "is refused with a reason if it is none",
        arguments: [
            ("", "takes an address"), ("10.0.0/8", "takes an address"), ("a/8", "takes an address"),
            ("[::1]/128", "takes an address"), ("10.0.0.0/", "0 to 32"), ("10.0.0.0/33", "0 to 32"),
            ("10.0.0.0/-1", "0 to 32"), ("10.0.0.0/8/8", "0 to 32"), ("::/129", "0 to 128"),
            ("10.1.2.3/8", "10.0.0.0/8"), ("2001:db8::1/32", "2001:db8::/32"),
        ])
    func refused(text: String, reason: String) {
        do {
            _ = try NetworkRange(text)
            Issue.record("\(text) is no range")
        } catch { #expect(error.description.contains(reason), "\(error)") }
    }
}
