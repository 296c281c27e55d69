// SPDX-License-Identifier: Apache-2.0
import Crypto
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("follows the browsers' rules")
    struct BrowserRulesTests {
        private struct Page {
            var origin: String?
            var site: String?
            /// What the answer's `Access-Control-Allow-Origin` says; with credentials unless it is `*`.
            var allowed: String?
            let isServed: Bool

            var headers: [(String, String)] {
                [origin.map { ("Origin", $0) }, site.map { ("Sec-Fetch-Site", $0) }].compactMap(\.self)
            }
        }

        /// `--origin https://a.example --origin https://*.b.example`
        private static let pages: [Page] = [
            Page(isServed: true), Page(site: "none", isServed: true), Page(site: "same-origin", isServed: true),
            Page(site: "cross-site", isServed: false), Page(site: "same-site", isServed: false),
            Page(origin: "https://a.example", allowed: "https://a.example", isServed: true),
            Page(
                origin: "https://a.example", site: "cross-site", allowed: "https://a.example", isServed: true),
            Page(origin: "https://x.b.example", allowed: "https://x.b.example", isServed: true),
            Page(origin: "https://y.x.b.example", allowed: "https://y.x.b.example", isServed: true),
            Page(origin: "https://b.example", isServed: false), Page(origin: "https://evilb.example", isServed: false),
            Page(origin: "https://a.example.evil", isServed: false),
            Page(origin: "https://a.example:444", isServed: false), Page(origin: "http://a.example", isServed: false),
            Page(origin: "https://evil.example", isServed: false), Page(origin: "null", isServed: false),
            Page(origin: "https://evil.example", site: "cross-site", isServed: false),
            Page(origin: "https://a.example, https://evil.example", isServed: false),
            Page(origin: "", isServed: false), Page(origin: "*", isServed: false),
        ]

        private static let origins = ["--origin", "https://a.example", "--origin", "https://*.b.example"]

        @Test(
            "A page of the list is served and may read the answer, with credentials; another is refused and may not",
            .timeLimit(.minutes(1)))
        func origins() async throws {
            let guarded = try await GuardedNode(BrowserRulesTests.origins)
            for page in BrowserRulesTests.pages {
                for (method, target, body) in [
                    ("GET", "/events?topic=public.news", nil), ("GET", "/events?topic=secret", nil),
                    ("POST", "/publish", "{}"), ("DELETE", "/clients/a", nil), ("OPTIONS", "/events", nil),
                ] {
                    let knock = try await Knock(
                        guarded.port, target, method: method, headers: page.headers, body: body.map { Array($0.utf8) })
                    knock.close()
                    let answer = try #require(knock.answer)
                    let name = "\(page) \(method) \(target): \(answer.status)"
                    #expect((answer.json?["error"] as? String == "origin_not_allowed") == !page.isServed, "\(name)")
                    #expect((answer.status == 403) == !page.isServed, "\(name)")
                    #expect(answer.all("Access-Control-Allow-Origin") == [page.allowed].compactMap(\.self), "\(name)")
                    let credentials = page.allowed == nil ? [] : ["true"]
                    #expect(answer.all("Access-Control-Allow-Credentials") == credentials, "\(name)")
                    #expect(answer.all("Vary") == ["Origin"], "\(name)")
                }
            }
        }

        @Test(
            "A preflight allows what an EventSource and a publisher send, the reconnect's last-event-id too",
            .timeLimit(.minutes(1)))
        func preflight() async throws {
            let guarded = try await GuardedNode(BrowserRulesTests.origins)
            for (target, method) in [("/events?topic=a", "GET"), ("/publish", "POST"), ("/clients/a", "DELETE")] {
                let answer = try await request(
                    guarded.port, "OPTIONS", target,
                    headers: [
                        "Origin": "https://a.example", "Sec-Fetch-Site": "cross-site",
                        "Access-Control-Request-Method": method,
                        "Access-Control-Request-Headers": "authorization,last-event-id",
                    ])
                #expect(answer.status == 204)
                #expect(answer["Access-Control-Allow-Methods"]?.contains(method) == true)
                #expect(answer["Access-Control-Allow-Headers"] == "authorization,last-event-id")
                #expect(answer["Access-Control-Allow-Origin"] == "https://a.example")
                #expect(answer["Access-Control-Allow-Credentials"] == "true")
            }
        }

        @Test(
            "A page that may come may send what header fields and with what method it likes; another may send nothing",
            .timeLimit(.minutes(1)))
        func tracingHeaders() async throws {
            let guarded = try await GuardedNode(BrowserRulesTests.origins)
            let open = try await NodeProcess()
            let asked = "authorization,baggage,content-type,sentry-trace,traceparent,x-requested-with"
            for (port, origin, isAllowed) in [
                (guarded.port, "https://a.example", true), (guarded.port, "https://evil.example", false),
                (guarded.port, "http://127.0.0.1:\(guarded.port)", true), (open.port, "https://evil.example", true),
            ] {
                for (target, method) in [("/events?topic=a", "GET"), ("/publish", "PUT"), ("/clients/a", "DELETE")] {
                    let answer = try await request(
                        port, "OPTIONS", target,
                        headers: [
                            "Origin": origin, "Access-Control-Request-Method": method,
                            "Access-Control-Request-Headers": asked,
                        ])
                    #expect(answer.status == (isAllowed ? 204 : 403), "\(origin)")
                    #expect(answer["Access-Control-Allow-Headers"] == (isAllowed ? asked : nil), "\(origin)")
                    #expect(answer["Access-Control-Max-Age"] == (isAllowed ? "86400" : nil), "\(origin)")
                    #expect(answer["Access-Control-Allow-Methods"]?.contains(method) == (isAllowed ? true : nil))
                }
            }
            // What is no list of names does not come back.
            let answer = try await request(
                open.port, "OPTIONS", "/publish", headers: ["Access-Control-Request-Headers": "a\"b, <c>"])
            #expect(answer["Access-Control-Allow-Headers"]?.contains("authorization") == true)
        }

        @Test(
            "Without a list a guarded node serves its own pages only, and an open one all of them without credentials",
            .timeLimit(.minutes(1)))
        func noList() async throws {
            let guarded = try await GuardedNode()
            let open = try await NodeProcess()
            for (port, origin, isServed, allowed) in [
                (guarded.port, "http://127.0.0.1:\(guarded.port)", true, nil),
                (guarded.port, "https://evil.example", false, nil),
                (open.port, "http://127.0.0.1:\(open.port)", true, "*"), (open.port, "https://evil.example", true, "*"),
                (open.port, "null", true, "*"),
            ] as [(Int, String, Bool, String?)] {
                let knock = try await Knock(port, "/events?topic=public.a", headers: [("Origin", origin)])
                #expect((knock.fate == .stream) == isServed, "\(origin)")
                #expect(knock.answer?["Access-Control-Allow-Origin"] == allowed, "\(origin)")
                #expect(knock.answer?["Access-Control-Allow-Credentials"] == nil, "\(origin)")
                knock.close()
            }
        }

        /// What a browser says of the page, and whether a token in a cookie counts: for a stream, and for a POST.
        private static let cookieCases: [(headers: [(String, String)], reads: Bool, publishes: Bool)] = [
            ([], true, false), ([("Sec-Fetch-Site", "none")], true, false),
            ([("Sec-Fetch-Site", "same-origin")], true, false), ([("Sec-Fetch-Site", "same-site")], false, false),
            ([("Sec-Fetch-Site", "cross-site")], false, false), ([("Sec-Fetch-Site", "something-new")], false, false),
            ([("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")], false, false),
            ([("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")], false, false),
            ([("Origin", "https://a.example"), ("Sec-Fetch-Site", "same-site")], true, true),
            ([("Origin", "https://a.example"), ("Sec-Fetch-Site", "cross-site")], true, true),
            ([("Origin", "https://a.example")], true, true), ([("Origin", "https://evil.example")], false, false),
            ([("Origin", "null")], false, false),
            ([("Origin", "null"), ("Sec-Fetch-Site", "cross-site")], false, false),
            ([("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")], false, false),
            ([("Origin", "https://a.example"), ("Origin", "https://a.example")], false, false),
        ]

        @Test(
            "A token in a cookie opens a stream where no stranger's page can have asked, and publishes only by the POST of a page that is named",
            .timeLimit(.minutes(1)))
        func cookies() async throws {
            let guarded = try await GuardedNode(BrowserRulesTests.origins)
            let token = try #require(try await Visitor.admin.token())
            let json = [("Cookie", "sluice_token=\(token)"), ("Content-Type", "application/json")]
            for test in BrowserRulesTests.cookieCases {
                let stream = try await Knock(guarded.port, "/events?topic=secret", headers: test.headers + json)
                stream.close()
                #expect(stream.fate == (test.reads ? .stream : .answered(403)), "\(test.headers)")
                let publish = try await Knock(
                    guarded.port, "/publish", method: "POST", headers: test.headers + json,
                    body: Array(#"{"topic":"a","data":"x"}"#.utf8))
                #expect(publish.fate == .answered(test.publishes ? 200 : 403), "\(test.headers)")
                let form = try await Knock(
                    guarded.port, "/push?client_id=a&message=m", method: "POST", headers: test.headers + json, body: [])
                #expect(form.fate == .answered(test.publishes ? 200 : 403), "\(test.headers)")
                // Whatever the browser says: a link or a redirect is a GET.
                let push = try await Knock(guarded.port, "/push?client_id=a&message=m", headers: test.headers + json)
                #expect([401, 403].contains(push.answer?.status), "\(test.headers)")
                let disconnect = try await Knock(
                    guarded.port, "/clients/a", method: "DELETE", headers: test.headers + json)
                #expect([401, 403].contains(disconnect.answer?.status), "\(test.headers)")
            }
        }

        @Test(
            "In open mode with a list a link, an image or a mail publishes nothing; a page of the list and a POST do",
            .timeLimit(.minutes(1)))
        func openWithList() async throws {
            let node = try await NodeProcess(["--origin", "https://a.example"])
            let cases: [(headers: [(String, String)], get: Int, post: Int)] = [
                ([], 403, 200), ([("Referer", "http://evil.example/")], 403, 200),
                ([("Sec-Fetch-Site", "none"), ("Sec-Fetch-Mode", "navigate")], 403, 200),
                ([("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")], 403, 200),
                ([("Sec-Fetch-Site", "cross-site")], 403, 403), ([("Sec-Fetch-Site", "same-origin")], 200, 200),
                ([("Origin", "https://a.example")], 200, 200), ([("Origin", "https://evil.example")], 403, 403),
                ([("Origin", "http://127.0.0.1:\(node.port)")], 200, 200),
            ]
            for test in cases {
                for (method, status) in [("GET", test.get), ("POST", test.post)] {
                    let knock = try await Knock(
                        node.port, "/push?client_id=a&message=m", method: method, headers: test.headers,
                        body: method == "POST" ? [] : nil)
                    #expect(knock.fate == .answered(status), "\(method) \(test.headers)")
                }
            }
        }

        @Test("Where all pages may come (*), none of them comes with a cookie", .timeLimit(.minutes(1)))
        func anyOrigin() async throws {
            let guarded = try await GuardedNode(["--origin", "*"])
            let token = try #require(try await Visitor.admin.token())
            let foreign = [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")]
            let byCookie = try await Knock(
                guarded.port, "/events?topic=secret", headers: foreign + [("Cookie", "sluice_token=\(token)")])
            #expect(byCookie.fate == .answered(403))
            let byQuery = try await Knock(guarded.port, "/events?topic=secret&token=\(token)", headers: foreign)
            #expect(byQuery.fate == .stream)
            #expect(byQuery.answer?["Access-Control-Allow-Origin"] == "*")
            #expect(byQuery.answer?["Access-Control-Allow-Credentials"] == nil)
        }

        @Test(
            "With --host a request for another name is refused: a stranger's page whose name points here of a sudden",
            .timeLimit(.minutes(1)))
        func hosts() async throws {
            let guarded = try await GuardedNode(["--host", "a.example", "--host", "*.b.example", "--host", "[::1]:80"])
            let hosts: [(String, Bool)] = [
                ("a.example", true), ("A.Example", true), ("a.example:8080", true), ("a.example.", true),
                ("x.b.example", true), ("[::1]:80", true), ("b.example", false), ("xa.example", false),
                ("evil.example", false), ("evil.example:\(guarded.port)", false), ("127.0.0.1", false),
                ("localhost:\(guarded.port)", false), ("[::1]:81", false), ("a.example.evil.example", false),
            ]
            for (host, isServed) in hosts {
                // To its browser the page is of the same origin.
                let headers = [("Host", host), ("Origin", "http://\(host)"), ("Sec-Fetch-Site", "same-origin")]
                for (method, target) in [
                    ("GET", "/events?topic=public.a"), ("GET", "/"), ("POST", "/publish"), ("GET", "/push"),
                    ("DELETE", "/clients/a"), ("OPTIONS", "/events"),
                ] {
                    let knock = try await Knock(
                        guarded.port, target, method: method, headers: headers, body: method == "POST" ? [] : nil)
                    knock.close()
                    let isRefused = knock.answer?.json?["error"] as? String == "host_not_allowed"
                    #expect(isRefused == !isServed, "\(host) \(method) \(target)")
                    #expect((knock.answer?.status == 403) == !isServed, "\(host) \(method) \(target)")
                }
                // A load balancer asks by address.
                #expect(try await Knock(guarded.port, "/healthz", headers: headers).fate == .answered(200))
            }
        }

        @Test(
            "Every answer says nosniff and no-referrer and names its node; none asks for a password or tells what runs here",
            .timeLimit(.minutes(1)))
        func headersOfEveryAnswer() async throws {
            let guarded = try await GuardedNode(["--max-target", "300B", "--max-body", "1KiB", "--threads", "1"])
            let good = try #require(try await Visitor.subscriber.token())
            let bad = try #require(try await Visitor.expired.token())
            let long = String(repeating: "x", count: 400)
            let requests: [(method: String, target: String, headers: [(String, String)], status: Int)] = [
                ("GET", "/", [], 200), ("GET", "/healthz", [], 200), ("GET", "/readyz", [], 200),
                ("GET", "/events?topic=public.a", [], 200), ("GET", "/sse?client_id=a", [], 401),
                ("GET", "/events?topic=news", [("Authorization", "Bearer \(good)")], 200),
                ("HEAD", "/events?topic=public.a", [], 200), ("OPTIONS", "/events", [], 204),
                ("GET", "/events?topic=news", [], 401),
                ("GET", "/events?topic=news", [("Authorization", "Bearer \(bad)")], 401),
                ("GET", "/events?topic=secret", [("Authorization", "Bearer \(good)")], 403),
                ("GET", "/events?topic=public.a", [("Origin", "https://evil.example")], 403),
                ("GET", "/events?topic=", [], 400), ("GET", "/nothing", [], 404), ("PUT", "/", [], 405),
                ("POST", "/publish", [("Content-Length", "9999999")], 413), ("GET", "/events?topic=\(long)", [], 414),
                ("GET", "/", [("X-Long", String(repeating: "x", count: 20000))], 431),
                ("GET", "/", [("Content-Length", "nonsense")], 400), ("TRACE", "/", [], 405),
            ]
            for test in requests {
                let knock = try await Knock(guarded.port, test.target, method: test.method, headers: test.headers)
                knock.close()
                let answer = try #require(knock.answer, "\(test)")
                #expect(answer.status == test.status, "\(test)")
                #expect(answer.all("X-Content-Type-Options") == ["nosniff"], "\(test)")
                #expect(answer.all("Referrer-Policy") == ["no-referrer"], "\(test)")
                #expect(answer.all("Sluice-Node") == [guarded.node.id], "\(test)")
                #expect(["Bearer", nil].contains(answer["WWW-Authenticate"]) && answer["Server"] == nil, "\(test)")
                // No cache keeps an answer to OPTIONS (RFC 9110 §9.3.7).
                let isKeptByNoCache = test.method == "OPTIONS" || answer["Cache-Control"]?.contains("no-") == true
                #expect(isKeptByNoCache, "\(test)")
            }
        }

        @Test(
            "No page may read what the operator's listener says, also where all may read everything else",
            .timeLimit(.minutes(1)))
        func operatorsListener() async throws {
            let node = try await NodeProcess()
            let headers = ["Origin": "https://evil.example"]
            for target in ["/metrics", "/nodes", "/dashboard", "/nothing"] {
                let answer = try await request(node.adminPort, "GET", target, headers: headers)
                #expect(answer["Access-Control-Allow-Origin"] == nil, "\(target)")
            }
            #expect(try await request(node.port, "GET", "/", headers: headers)["Access-Control-Allow-Origin"] == "*")
        }

        @Test(
            "A page's policy names the hashes of the one script and the one style sheet that it has, and nothing else may run",
            .timeLimit(.minutes(1)), arguments: ["/", "/dashboard"])
        func pagePolicy(page: String) async throws {
            let node = try await NodeProcess()
            let answer = try await request(page == "/" ? node.port : node.adminPort, "GET", page)
            let policy = try #require(answer["Content-Security-Policy"])
            let directives = Dictionary(
                uniqueKeysWithValues: policy.components(separatedBy: "; ").map { directive in
                    let words = directive.split(separator: " ", maxSplits: 1).map(String.init)
                    return (words[0], words[1])
                })
            let expected = [
                "default-src": "'none'", "connect-src": "'self'", "img-src": "data:", "base-uri": "'none'",
                "form-action": "'none'", "frame-ancestors": "'none'",
                "script-src": try hash(of: "script", in: answer.text),
                "style-src": try hash(of: "style", in: answer.text),
            ]
            #expect(directives == expected)
            // What the hashes don't cover the browser would not run.
            #expect(!answer.text.contains(/<[a-z][^>]* (on[a-z]+|style)=/.ignoresCase()))
            #expect(!answer.text.contains(/(src|href)="?(https?:)?\/\//.ignoresCase()))
            // A proxy may have put the page below a path: it asks for nothing by an absolute one.
            #expect(!answer.text.contains(/["'`(=]\/[a-z]/))
            #expect(answer["X-Frame-Options"] == "DENY")
        }

        private func hash(of element: String, in page: String) throws -> String {
            let parts = page.components(separatedBy: "<\(element)")
            try #require(parts.count == 2, "one <\(element)>")
            let content = try #require(parts[1].components(separatedBy: "</\(element)>").first)
            try #require(content.hasPrefix(">"))
            return "'sha256-\(Data(SHA256.hash(data: Data(content.dropFirst().utf8))).base64EncodedString())'"
        }
    }
}
