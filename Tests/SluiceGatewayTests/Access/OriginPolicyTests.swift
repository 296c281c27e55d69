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

    /// - Parameter host: nil: HTTP/1.0, which need not say.
    private func sender(
        _ origins: [String], sites: [String] = [], mode: String? = nil, host: String? = "node.example"
    ) -> Sender {
        var head = HTTPRequestHead(version: host == nil ? .http1_0 : .http1_1, method: .GET, uri: "/events")
        if let host { head.headers.add(name: "Host", value: host) }
        for origin in origins { head.headers.add(name: "Origin", value: origin) }
        for site in sites { head.headers.add(name: "Sec-Fetch-Site", value: site) }
        if let mode { head.headers.add(name: "Sec-Fetch-Mode", value: mode) }
        return Sender(head)
    }

    private func sender(
        _ origin: String?, site: String? = nil, mode: String? = nil, host: String? = "node.example"
    )
        -> Sender
    {
        sender([origin].compactMap(\.self), sites: [site].compactMap(\.self), mode: mode, host: host)
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
        let verdict = try policy(Self.list).verdict(on: sender(origin, site: "cross-site"))
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
            #expect(policy.verdict(on: sender(origin, site: "cross-site", host: nil)) == .any)
        }
        #expect(policy.headers(for: .any).contains { $0 == ("Access-Control-Allow-Origin", "*") })
        #expect(!policy.headers(for: .any).contains { $0.0 == "Access-Control-Allow-Credentials" || $0.0 == "Vary" })
    }

    @Test("with * in the list are all welcome, but only those that are named with cookies")
    func star() throws {
        let policy = try policy(["*", "https://a.example"])
        let cross = "cross-site"
        #expect(policy.verdict(on: sender("https://a.example", site: cross)) == .allowed("https://a.example"))
        #expect(policy.verdict(on: sender("https://b.example", site: cross)) == .any)
        #expect(policy.verdict(on: sender("null", site: cross)) == .any)
        #expect(policy.permitsReadingByCookie(sender("https://a.example", site: cross)))
        #expect(!policy.permitsReadingByCookie(sender("https://b.example", site: cross)))
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
        #expect(policy.verdict(on: sender(origin, host: host)) == (isSame ? .sameOrigin : .refused))
        #expect(policy.permitsReadingByCookie(sender(origin, host: host)) == isSame)
        #expect(policy.verdict(on: sender(origin, host: nil)) == .refused)
    }

    private enum Case {
        static let own = "https://node.example"
        static let listed = "https://a.example"
        static let other = "https://evil.example"
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let site: String?
        let origin: String?
        let verdict: OriginPolicy.Verdict
        /// With a cookie: to open a stream, and to publish with POST.
        let reads: Bool
        let publishes: Bool
        /// In open mode with the list, by a GET.
        let publishesByGet: Bool

        init(_ site: String?, _ origin: String?, _ verdict: OriginPolicy.Verdict, _ may: String) {
            self.site = site
            self.origin = origin
            self.verdict = verdict
            reads = may.contains("r")
            publishes = may.contains("p")
            publishesByGet = may.contains("g")
        }

        var testDescription: String { "\(site ?? "-") \(origin ?? "-")" }
    }

    private static let rows = [
        Row(nil, nil, .none, "r"),
        Row(nil, Case.own, .sameOrigin, "rpg"),
        Row(nil, Case.listed, .allowed(Case.listed), "rpg"),
        Row(nil, Case.other, .refused, ""),
        Row(nil, "null", .refused, ""),
        Row("same-origin", nil, .none, "rg"),
        Row("same-origin", Case.own, .sameOrigin, "rpg"),
        Row("same-origin", "https://public.example", .sameOrigin, "rpg"),  // a proxy has changed Host
        Row("same-origin", "null", .refused, "r"),
        Row("none", nil, .none, "r"),  // a link in a mail
        Row("same-site", nil, .refused, ""),
        Row("same-site", Case.listed, .allowed(Case.listed), "rpg"),
        Row("same-site", Case.other, .refused, ""),
        Row("cross-site", nil, .refused, ""),
        Row("cross-site", Case.listed, .allowed(Case.listed), "rpg"),
        Row("cross-site", Case.other, .refused, ""),
        Row("cross-site", Case.own, .refused, ""),  // http, where the node is https
        Row("cross-site", "null", .refused, ""),
        Row("something-new", nil, .refused, ""),
    ]

    @Test(
        "and what counts of them for each Sec-Fetch-Site: the page, its cookies, a GET that publishes", arguments: rows)
    func sites(row: Row) throws {
        let sender = sender(row.origin, site: row.site)
        let policy = try policy(Self.list)
        #expect(policy.verdict(on: sender) == row.verdict)
        #expect(policy.permitsReadingByCookie(sender) == row.reads)
        #expect(policy.permitsPublishingByCookie(sender) == row.publishes)
        #expect(try self.policy(Self.list, isOpen: true).permitsPublishingByGet(sender) == row.publishesByGet)
        #expect(try self.policy([], isOpen: true).permitsPublishingByGet(sender))
    }

    @Test("may link to the node; a cookie does not count on the way")
    func navigation() throws {
        let sender = sender(nil, site: "cross-site", mode: "navigate", host: nil)
        #expect(try policy([]).verdict(on: sender) == .none)
        #expect(try policy([]).permitsReadingByCookie(sender) == false)
        #expect(try policy(Self.list, isOpen: true).permitsPublishingByGet(sender) == false)
    }

    @Test("that give two origins or two sites are believed neither")
    func doubled() throws {
        let twice = sender(["https://a.example", "https://a.example"], sites: ["cross-site"])
        #expect(try policy(Self.list).verdict(on: twice) == .refused)
        #expect(try policy(Self.list).permitsReadingByCookie(twice) == false)
        let sites = sender([], sites: ["same-origin", "cross-site"])
        #expect(try policy(Self.list).permitsReadingByCookie(sites) == false)
        #expect(try policy(Self.list, isOpen: true).permitsPublishingByGet(sites) == false)
    }

    @Test("are not looked at where they are longer than any name")
    func long() {
        let label = String(repeating: "a", count: 60)
        let name = [label, label, label, label].joined(separator: ".")
        #expect(Origin("https://\(name)") != nil)
        #expect(Origin("https://\(name).\(label)") == nil)
        #expect(Authority(String(repeating: "a.", count: 10_000)) == nil)
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
