// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1
import SluiceGateway
import Testing

@Suite("The host of a request")
struct HostPolicyTests {
    @Test(
        "is read without regard to case and the root's dot",
        arguments: [
            ("a.example", "a.example", nil), ("A.Example.:8080", "a.example", 8080), ("localhost:0", "localhost", 0),
            ("a.example:", "a.example", nil), ("[::1]", "[::1]", nil), ("[0:0::1]:443", "[::1]", 443),
            ("192.0.2.1:80", "192.0.2.1", 80), ("my_service", "my_service", nil),
            ("xn--bcher-kva.example", "xn--bcher-kva.example", nil),
        ] as [(String, String, Int?)])
    func read(text: String, host: String, port: Int?) throws {
        let authority = try #require(Authority(text))
        #expect(authority.host == host)
        #expect(authority.port == port)
    }

    static let malformed = [
        "", " ", ".", "..", ":80", "a b", "a..b", ".a", "a/b", "a@b", "a:b", "a:-1", "a:65536", "a:1:2", "::1", "[::1",
        "[]", "[a]", "[1.2.3.4]", "[::1]x", "[::1%lo]", "a,b", "a\tb", "%61", "bücher.example", "a?b", "a#b", "*.a",
        "a..", "\u{212A}",
        String(repeating: "a", count: 254), "a:99999999999999999999",
    ]

    @Test("is nothing else", arguments: malformed)
    func refused(text: String) {
        #expect(Authority(text) == nil)
    }

    private func host(
        _ uri: String, _ hosts: [String], _ version: HTTPVersion = .http1_1
    ) throws(Authority.Refusal) -> Authority? {
        try Authority.of(uri: uri, headers: HTTPHeaders(hosts.map { ("hOST", $0) }), version: version)
    }

    @Test("must be there once, and be well-formed (RFC 9112 §3.2)")
    func required() throws {
        #expect(try host("/", ["a.example:80"]) == Authority("a.example:80"))
        #expect(try host("/", [], .http1_0) == nil)
        #expect(try host("/", ["a"], .http1_0) == Authority("a"))
        #expect(try host("/", ["a"], .http2) == Authority("a"))
        #expect(throws: Authority.Refusal.self) { try host("/", []) }
        for version in [HTTPVersion.http1_0, .http1_1, .http2] {
            #expect(throws: Authority.Refusal.self) { try host("/", ["a", "a"], version) }
            for text in Self.malformed {
                #expect(throws: Authority.Refusal.self, "\(text)") { try host("/", [text], version) }
            }
        }
    }

    @Test("in an absolute target must be the one in the header")
    func absolute() throws {
        #expect(try host("http://A.example/x?y", ["a.example"]) == Authority("a.example"))
        #expect(try host("HTTPS://a.example:1", ["a.example:1"]) == Authority("a.example:1"))
        #expect(try host("http://a.example/", [], .http1_0) == Authority("a.example"))
        #expect(try host("*", ["a"]) == Authority("a"))
        for uri in [
            "http://b.example/", "http://a.example:81/", "http://a.example@b.example/", "http:///",
            "http://b?a.example",
            "http://x:y@a.example/",
        ] {
            #expect(throws: Authority.Refusal.self, "\(uri)") { try host(uri, ["a.example"]) }
        }
    }

    @Test(
        "is served if the list names it",
        arguments: [
            (
                ["a.example"], ["a.example", "A.EXAMPLE", "a.example.", "a.example:81"],
                ["b.a.example", "example", "xa.example"]
            ),
            (["a.example:80"], ["a.example:80"], ["a.example", "a.example:81"]),
            (["*.a.example"], ["b.a.example", "c.b.a.example:1"], ["a.example", "xa.example", "a.example.b"]),
            (["[::1]:80", "127.0.0.1"], ["[0::1]:80", "127.0.0.1:9"], ["[::1]", "[::2]:80", "localhost"]),
            ([], ["anything", "evil.example"], []),
        ])
    func policy(list: [String], served: [String], refused: [String]) throws {
        let policy = HostPolicy(hosts: try list.map { try #require(HostPattern($0)) })
        func permits(_ text: String) throws -> Bool {
            let authority: Authority = try #require(Authority(text))
            return policy.permits(authority)
        }
        for text in served { #expect(try permits(text), "\(text)") }
        for text in refused { #expect(try permits(text) == false, "\(text)") }
        #expect(policy.permits(nil) == list.isEmpty)
    }

    @Test(
        "can be listed as a name, a name with a port or what is below one, and in no other form",
        arguments: ["", "*", "*.", "a.*", "*a.example", "*.*.a", "**.a", "https://a", "a/b", "*.[::1]", "a b"])
    func badPattern(text: String) {
        #expect(HostPattern(text) == nil)
    }
}
