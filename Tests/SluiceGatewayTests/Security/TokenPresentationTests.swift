// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

extension NodeTests {
    @Suite("finds a request's token")
    struct TokenPresentationTests {
        /// What is given where, `+` a good token and `-` one that isn't; the first in the order header, query, cookie
        /// decides.
        private struct Presentation {
            let header: String?
            let cookie: String?
            let query: String?
            let status: Int

            init(_ header: String?, _ cookie: String?, _ query: String?, _ status: Int) {
                self.header = header
                self.cookie = cookie
                self.query = query
                self.status = status
            }
        }

        private static let presentations: [Presentation] = [
            Presentation(nil, nil, nil, 401), Presentation("Bearer +", nil, nil, 200),
            Presentation("bearer  +", nil, nil, 200), Presentation("Bearer -", nil, nil, 401),
            Presentation("Bearer", nil, nil, 401), Presentation("Bearer ", nil, "token=+", 401),
            Presentation("+", nil, nil, 401), Presentation("Basic YTpi", nil, nil, 401),
            Presentation(nil, "sluice_token=+", nil, 200), Presentation(nil, "a=b; sluice_token=\"+\"; c=d", nil, 200),
            Presentation(nil, "sluice_token=-", nil, 401), Presentation(nil, "other=+", nil, 401),
            Presentation(nil, nil, "access_token=+", 200), Presentation(nil, nil, "token=+", 200),
            Presentation(nil, nil, "access_token=-", 401), Presentation(nil, nil, "token=", 401),
            Presentation(nil, nil, "access_token=+&access_token=+", 400),
            Presentation("Bearer +", "sluice_token=-", "token=-", 200),
            Presentation("Bearer -", "sluice_token=+", "token=+", 401),
            Presentation(nil, "sluice_token=+", "token=-", 401), Presentation(nil, "sluice_token=-", "token=+", 200),
            Presentation(nil, "sluice_token=", "token=+", 200),
            Presentation(nil, nil, "access_token=+&token=-", 200),
            Presentation(nil, nil, "access_token=-&token=+", 401),
            Presentation("Basic YTpi", nil, "token=+", 200),
            Presentation("Bearer +\r\nAuthorization: Bearer +", nil, nil, 400),
        ]

        @Test(
            "The header comes before the query and that before the cookie; a bad token is not made good by another",
            .timeLimit(.minutes(1)))
        func precedence() async throws {
            let guarded = try await GuardedNode()
            let good = try #require(try await Visitor.subscriber.token())
            let bad = try #require(try await Visitor.expired.token())
            func filled(_ text: String) -> String {
                text.replacing("-", with: bad).replacing("+", with: good)
            }
            for presentation in TokenPresentationTests.presentations {
                var headers: [(String, String)] = []
                if let header = presentation.header { headers.append(("Authorization", filled(header))) }
                if let cookie = presentation.cookie { headers.append(("Cookie", filled(cookie))) }
                let query = presentation.query.map { "&\(filled($0))" } ?? ""
                let knock = try await Knock(guarded.port, "/events?topic=news\(query)", headers: headers)
                knock.close()
                #expect((knock.answer?.status ?? 0) == presentation.status, "\(presentation)")
                #expect((knock.fate == .stream) == (presentation.status == 200), "\(presentation)")
            }
        }

        @Test(
            "A token in a URL is for streams: what publishes or disconnects wants it in the header, or a page's POST in the cookie",
            .timeLimit(.minutes(1)))
        func places() async throws {
            let guarded = try await GuardedNode()
            let token = try #require(try await Visitor.admin.token())
            let origin = ("Origin", "http://127.0.0.1:\(guarded.port)")
            let json = #"{"topic":"news","data":"x"}"#
            // Statuses with the token in the header, the query, the cookie, and the cookie with the page's origin.
            let routes: [(method: String, target: String, body: String?, statuses: [Int])] = [
                ("GET", "/events?topic=secret", nil, [200, 200, 200, 200]),
                ("HEAD", "/sse?client_id=bob", nil, [200, 200, 200, 200]),
                ("GET", "/stream?user_id=bob", nil, [200, 200, 200, 200]),
                ("POST", "/publish?", json, [200, 401, 403, 200]),
                ("POST", "/push?client_id=bob&message=m", "", [200, 401, 403, 200]),
                ("GET", "/push?client_id=bob&message=m", nil, [200, 401, 401, 401]),
                ("DELETE", "/clients/bob?seconds=1", nil, [200, 401, 401, 401]),
            ]
            for route in routes {
                let places: [(String, [(String, String)])] = [
                    ("", [("Authorization", "Bearer \(token)")]), ("&access_token=\(token)", []),
                    ("", [("Cookie", "sluice_token=\(token)")]), ("", [("Cookie", "sluice_token=\(token)"), origin]),
                ]
                var statuses: [Int] = []
                for (query, headers) in places {
                    let knock = try await Knock(
                        guarded.port, route.target + query, method: route.method, headers: headers,
                        body: route.body.map { Array($0.utf8) })
                    knock.close()
                    statuses.append(knock.answer?.status ?? 0)
                }
                #expect(statuses == route.statuses, "\(route.method) \(route.target)")
            }
        }

        @Test("The cookie's name can be chosen, and then no other counts", .timeLimit(.minutes(1)))
        func cookieName() async throws {
            let guarded = try await GuardedNode(["--jwt-cookie", "__Host-t"])
            let token = try #require(try await Visitor.subscriber.token())
            for (name, fate) in [("__Host-t", Knock.Fate.stream), ("sluice_token", .answered(401))] {
                let knock = try await Knock(
                    guarded.port, "/events?topic=news", headers: [("Cookie", "\(name)=\(token)")])
                #expect(knock.fate == fate)
                knock.close()
            }
        }
    }
}
