// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1
import SluiceGateway
import Testing

@Suite("Credentials")
struct CredentialsTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let headers: [(String, String)]
        let query: String
        let expected: (token: String, source: Credentials.Source)?

        init(
            _ name: String, _ headers: [(String, String)] = [], query: String = "",
            _ expected: (String, Credentials.Source)?
        ) {
            testDescription = name
            self.headers = headers
            self.query = query
            self.expected = expected
        }
    }

    private static let rows = [
        Row("none", [("Cookie", "other=x")], query: "topic=a&TOKEN=x", nil),
        Row("header", [("Authorization", "Bearer h")], ("h", .header)),
        Row("any case", [("AUTHORIZATION", "bEARER   h  ")], ("h", .header)),
        Row("an empty one is one, that nobody takes", [("Authorization", "Bearer")], query: "token=q", ("", .header)),
        Row("another scheme", [("Authorization", "Basic eDp5")], nil),
        Row("a scheme that begins alike", [("Authorization", "BearerX h")], nil),
        Row("another scheme hides nothing", [("Authorization", "Basic eDp5"), ("Cookie", "t=c")], ("c", .cookie)),
        Row("cookie", [("Cookie", "a=b; t=c; d=e")], ("c", .cookie)),
        Row("without spaces, with tabs", [("Cookie", "a=b;t=c;\td=e")], ("c", .cookie)),
        Row("quoted", [("Cookie", "t=\"c\"")], ("c", .cookie)),
        Row("one quote", [("Cookie", "t=\"")], ("\"", .cookie)),
        Row("a value with an equals sign", [("Cookie", "t=c=d==")], ("c=d==", .cookie)),
        Row("several fields, as HTTP/2 has them", [("Cookie", "a=b"), ("Cookie", "t=c")], ("c", .cookie)),
        Row("the first counts", [("Cookie", "t=c; t=d")], ("c", .cookie)),
        Row("an empty cookie is none", [("Cookie", "t=")], query: "token=q", ("q", .query)),
        Row("a cookie's name has case", [("Cookie", "T=c; tt=c; xt=c; t")], nil),
        Row("a value is no pair", [("Cookie", "a=t=c")], nil),
        Row("access_token", query: "topic=a&access_token=q", ("q", .query)),
        Row("token", query: "token=q", ("q", .query)),
        Row("access_token before token", query: "token=b&access_token=a", ("a", .query)),
        Row("header before cookie", [("Cookie", "t=c"), ("Authorization", "Bearer h")], ("h", .header)),
        Row("query before cookie", [("Cookie", "t=c")], query: "access_token=q", ("q", .query)),
        Row("an empty one in the query is one", [("Cookie", "t=c")], query: "token=", ("", .query)),
        Row("a name that begins alike", [("Cookie", "tt=x; t =c")], ("c", .cookie)),
        Row("semicolons", [("Cookie", ";;; ; t=c;")], ("c", .cookie)),
    ]

    @Test("A token is found in the header, then the query, then the cookie", arguments: rows)
    func finds(_ row: Row) throws {
        let found = try Credentials.find(
            headers: HTTPHeaders(row.headers), cookieName: "t", inURL: Query(row.query).token)
        #expect(found?.token == row.expected?.token)
        #expect(found?.source == row.expected?.source)
    }

    @Test("What does not count is not looked at")
    func notAsked() throws {
        let headers: HTTPHeaders = ["Cookie": "t=c"]
        #expect(try Credentials.find(headers: headers, cookieName: nil) == nil)
        #expect(try Credentials.find(headers: headers, cookieName: "t")?.source == .cookie)
        #expect(
            try Credentials.find(headers: headers, cookieName: nil, inURL: Query("token=q").token)?.source == .query)
    }

    @Test("More cookies than a site has are refused, but only where one could be the token")
    func cookieLimit() throws {
        func cookies(_ bytes: Int) -> String { "t=c; other=" + String(repeating: "x", count: bytes - 11) }
        let most: HTTPHeaders = ["Cookie": cookies(8192)]
        #expect(try Credentials.find(headers: most, cookieName: "t")?.token == "c")
        for fields in [[cookies(8193)], [cookies(4100), cookies(4100)]] {
            var headers = HTTPHeaders(fields.map { ("Cookie", $0) })
            let error = #expect(throws: Credentials.Refusal.cookiesTooLarge) {
                try Credentials.find(headers: headers, cookieName: "t")
            }
            #expect(error.map { HTTPProblem(of: $0).status } == .requestHeaderFieldsTooLarge)
            headers.add(name: "Authorization", value: "Bearer h")
            #expect(try Credentials.find(headers: headers, cookieName: "t")?.token == "h")
        }
    }

    @Test("Two headers, or two in the query, are a bad request: it isn't clear which is meant")
    func ambiguous() throws {
        let twice = HTTPHeaders([("Authorization", "Bearer a"), ("authorization", "Bearer a")])
        let error = #expect(throws: Credentials.Refusal.headerRepeated(2)) {
            try Credentials.find(headers: twice, cookieName: "t")
        }
        #expect(error.map { HTTPProblem(of: $0).status } == .badRequest)
        for query in ["token=a&token=a", "access_token=a&access_token=b"] {
            #expect(throws: HTTPProblem.self) {
                try Credentials.find(headers: HTTPHeaders(), cookieName: "t", inURL: Query(query).token)
            }
        }
    }
}
