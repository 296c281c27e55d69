// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1
import SluiceGateway
import Testing

@Suite("Pages of other origins")
struct OriginPolicyTests {
    private static let list = ["https://a.example", "http://a.example:8080", "https://*.sub.example", "app://main"]

    private func policy(_ origins: [String], isOpen: Bool = false) throws -> OriginPolicy {
        OriginPolicy(origins: try origins.map { try #require(OriginPattern($0)) }, isOpen: isOpen)
    }

    private func headers(_ origin: String?, site: String? = nil, mode: String? = nil) -> HTTPHeaders {
        var headers = HTTPHeaders()
        if let origin { headers.add(name: "Origin", value: origin) }
        if let site { headers.add(name: "Sec-Fetch-Site", value: site) }
        if let mode { headers.add(name: "Sec-Fetch-Mode", value: mode) }
        return headers
    }

    @Test(
        "are known by scheme, host and port",
        arguments: [
            ("https://a.example", true), ("https://A.EXAMPLE", true), ("https://a.example:443", true),
            ("http://a.example:8080", true), ("https://x.sub.example", true), ("https://y.x.sub.example", true),
            ("app://main", true),
            ("http://a.example", false), ("https://a.example:8443", false), ("http://a.example:80", false),
            ("https://b.a.example", false), ("https://xa.example", false), ("https://a.example.evil.example", false),
            ("https://sub.example", false), ("https://xsub.example", false), ("http://x.sub.example", false),
            ("https://x.sub.example:444", false), ("https://a.example/", false), ("https://a.example/x", false),
            ("https://a.example@evil.example", false), ("null", false), ("", false), ("*", false), ("a.example", false),
            ("https://", false), ("https://a.example https://evil.example", false), ("//a.example", false),
            ("https://*.sub.example", false), ("https://.sub.example", false), ("app://other", false),
        ])
    func list(origin: String, isAllowed: Bool) throws {
        let verdict = try policy(Self.list).verdict(headers(origin, site: "cross-site"), host: Authority("node"))
        #expect(verdict == (isAllowed ? .allowed(origin) : .refused))
    }

    @Test(
        "can be listed in no other form",
        arguments: [
            "", "**", "null", "a.example", "https://", "https://a/", "https://*", "*://a", "https://*.", "https://a b",
            "://a", "1://a",
        ])
    func badPattern(text: String) {
        #expect(OriginPattern(text) == nil)
    }

    @Test("in open mode without a list are all welcome, without cookies")
    func open() throws {
        let policy = try policy([], isOpen: true)
        for origin in [nil, "https://evil.example", "null", "\u{1}"] {
            #expect(policy.verdict(headers(origin, site: "cross-site"), host: nil) == .any)
        }
        #expect(policy.headers(for: .any).contains { $0 == ("Access-Control-Allow-Origin", "*") })
        #expect(!policy.headers(for: .any).contains { $0.0 == "Access-Control-Allow-Credentials" || $0.0 == "Vary" })
    }

    @Test("with * in the list are all welcome, but only those that are named with cookies")
    func star() throws {
        let policy = try policy(["*", "https://a.example"])
        let cross = "cross-site"
        #expect(policy.verdict(headers("https://a.example", site: cross), host: nil) == .allowed("https://a.example"))
        #expect(policy.verdict(headers("https://b.example", site: cross), host: nil) == .any)
        #expect(policy.verdict(headers("null", site: cross), host: nil) == .any)
        #expect(policy.permitsCookie(headers("https://a.example", site: cross), host: nil))
        #expect(!policy.permitsCookie(headers("https://b.example", site: cross), host: nil))
        #expect(policy.headers(for: .any).contains { $0 == ("Vary", "Origin") }, "it depends on the origin")
    }

    @Test(
        "are told from the node's own by Host where the browser is old",
        arguments: [
            ("https://node.example", "node.example", true), ("http://node.example", "node.example", true),
            ("https://node.example", "node.example:443", true), ("http://node.example:80", "node.example", true),
            ("http://127.0.0.1:8080", "127.0.0.1:8080", true), ("http://[::1]:8080", "[0::1]:8080", true),
            ("https://node.example", "NODE.example.", true),
            ("https://node.example", "node.example:80", false), ("http://node.example", "node.example:8080", false),
            ("http://127.0.0.1:8081", "127.0.0.1:8080", false), ("https://evil.example", "node.example", false),
            ("null", "node.example", false),
        ])
    func sameHost(origin: String, host: String, isSame: Bool) throws {
        let policy = try policy([])
        #expect(policy.verdict(headers(origin), host: Authority(host)) == (isSame ? .sameOrigin : .refused))
        #expect(policy.permitsCookie(headers(origin), host: Authority(host)) == isSame)
        #expect(policy.verdict(headers(origin), host: nil) == .refused)
    }

    private enum Case {
        static let own = "https://node.example"
        static let listed = "https://a.example"
        static let other = "https://evil.example"
    }

    @Test(
        "and their cookies: what counts for each Sec-Fetch-Site",
        arguments: [
            (nil, nil, .none, true),
            (nil, Case.own, .sameOrigin, true),
            (nil, Case.listed, .allowed(Case.listed), true),
            (nil, Case.other, .refused, false),
            (nil, "null", .refused, false),
            ("same-origin", nil, .none, true),
            ("same-origin", Case.own, .sameOrigin, true),
            ("same-origin", "https://public.example", .sameOrigin, true),  // a proxy has changed Host
            ("none", nil, .none, true),
            ("same-site", nil, .refused, false),
            ("same-site", Case.listed, .allowed(Case.listed), true),
            ("same-site", Case.other, .refused, false),
            ("cross-site", nil, .refused, false),
            ("cross-site", Case.listed, .allowed(Case.listed), true),
            ("cross-site", Case.other, .refused, false),
            ("cross-site", Case.own, .refused, false),  // http, where the node is https
            ("cross-site", "null", .refused, false),
            ("something-new", nil, .refused, false),
        ] as [(String?, String?, OriginPolicy.Verdict, Bool)])
    func sites(site: String?, origin: String?, verdict: OriginPolicy.Verdict, cookie: Bool) throws {
        let policy = try policy(Self.list)
        let host = Authority("node.example")
        #expect(policy.verdict(headers(origin, site: site), host: host) == verdict)
        #expect(policy.permitsCookie(headers(origin, site: site), host: host) == cookie)
    }

    @Test("may link to the node; a cookie does not count on the way")
    func navigation() throws {
        let headers = headers(nil, site: "cross-site", mode: "navigate")
        #expect(try policy([]).verdict(headers, host: nil) == .none)
        #expect(try policy([]).permitsCookie(headers, host: nil) == false)
    }

    @Test("that give two origins or two sites are believed neither")
    func doubled() throws {
        var twice = headers("https://a.example", site: "cross-site")
        twice.add(name: "Origin", value: "https://a.example")
        #expect(try policy(Self.list).verdict(twice, host: nil) == .refused)
        #expect(try policy(Self.list).permitsCookie(twice, host: nil) == false)
        var sites = headers(nil, site: "same-origin")
        sites.add(name: "Sec-Fetch-Site", value: "cross-site")
        #expect(try policy(Self.list).permitsCookie(sites, host: nil) == false)
    }

    @Test("may read what the CORS headers allow, and never get credentials together with *")
    func corsHeaders() throws {
        func text(_ policy: OriginPolicy, _ verdict: OriginPolicy.Verdict) -> [String] {
            policy.headers(for: verdict).map { "\($0.0): \($0.1)" }
        }
        let listed = try policy(Self.list)
        #expect(
            text(listed, .allowed("https://a.example")) == [
                "Access-Control-Allow-Origin: https://a.example", "Access-Control-Allow-Credentials: true",
                "Access-Control-Expose-Headers: Sluice-Node, Retry-After", "Vary: Origin",
            ])
        for verdict in [OriginPolicy.Verdict.none, .sameOrigin, .refused] {
            #expect(text(listed, verdict) == ["Vary: Origin"])
            #expect(text(try policy([]), verdict) == ["Vary: Origin"])
        }
        #expect(
            text(try policy(["*"]), .any) == [
                "Access-Control-Allow-Origin: *", "Access-Control-Expose-Headers: Sluice-Node, Retry-After",
            ])
    }
}
