// SPDX-License-Identifier: Apache-2.0

/// The bytes of a request as nobody's library would send them, and what has to come of it.
struct RawRequest: Sendable {
    enum Outcome: Equatable, Sendable {
        /// One answer, and then the connection ends.
        case refused(Int)
        /// These answers, and the connection can be used for more.
        case answered([Int])
    }

    /// What it protects from; or what is right and must work.
    let name: String
    let bytes: [UInt8]
    let outcome: Outcome

    /// - Parameter text: one byte for each character up to U+00FF.
    init(_ name: String, _ text: String, _ outcome: Outcome) {
        self.name = name
        bytes = text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
        self.outcome = outcome
    }

    // MARK: What they are made of

    static let json = #"{"topic":"raw","data":"x"}"#
    static let length = json.utf8.count
    static let hexLength = String(length, radix: 16)
    /// The same in one chunk.
    static let chunked = "\(hexLength)\r\n\(json)\r\n0\r\n\r\n"
    /// What a smuggler would like to have read as a request: if it is, its answer is a 404.
    static let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

    static func get(_ target: String = "/healthz", _ fields: String = "", version: String = "HTTP/1.1") -> String {
        "GET \(target) \(version)\r\nHost: a\r\n\(fields)\r\n"
    }

    static func post(_ fields: String, _ body: String, version: String = "HTTP/1.1") -> String {
        "POST /publish \(version)\r\nHost: a\r\n\(fields)\r\n\(body)"
    }

    static func chunks(_ body: String) -> String {
        post("Transfer-Encoding: chunked\r\n", body) + smuggled
    }
}

extension RawRequest {
    /// Two parsers could find its end in different places (RFC 9112 §§6, 7, 11.2).
    static let framing =
        [
            RawRequest(
                "CL.TE", post("Content-Length: \(length)\r\nTransfer-Encoding: chunked\r\n", chunked + smuggled),
                .refused(400)),
            RawRequest(
                "TE.CL", post("Transfer-Encoding: chunked\r\nContent-Length: \(length)\r\n", chunked + smuggled),
                .refused(400)),
            RawRequest("a coding before chunked", post("Transfer-Encoding: gzip, chunked\r\n", chunked), .refused(501)),
            RawRequest("a coding other than chunked", post("Transfer-Encoding: gzip\r\n", chunked), .refused(400)),
            RawRequest("a coding nobody knows", post("Transfer-Encoding: xchunked\r\n", chunked), .refused(400)),
            RawRequest("identity", post("Transfer-Encoding: identity\r\n", chunked), .refused(400)),
            RawRequest("chunked twice", post("Transfer-Encoding: chunked, chunked\r\n", chunked), .refused(400)),
            RawRequest(
                "two Transfer-Encoding", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunked),
                .refused(400)),
            RawRequest(
                "two Transfer-Encoding that differ",
                post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", chunked), .refused(400)),
            RawRequest("chunked with a parameter", post("Transfer-Encoding: chunked;q=1\r\n", chunked), .refused(400)),
            RawRequest(
                "an empty Transfer-Encoding", post("Transfer-Encoding:\r\nContent-Length: \(length)\r\n", json),
                .refused(400)),
            RawRequest(
                "a vertical tab before chunked", post("Transfer-Encoding: \u{B}chunked\r\n", chunked), .refused(400)),
            RawRequest(
                "Transfer-Encoding in HTTP/1.0", post("Transfer-Encoding: chunked\r\n", chunked, version: "HTTP/1.0"),
                .refused(400)),
            RawRequest("a GET with an unknown coding", get("/healthz", "Transfer-Encoding: gzip\r\n"), .refused(400)),
            RawRequest(
                "two Content-Length that differ",
                post("Content-Length: \(length)\r\nContent-Length: 5\r\n", json), .refused(400)),
            RawRequest(
                "two Content-Length that agree",
                post("Content-Length: \(length)\r\nContent-Length: \(length)\r\n", json), .refused(400)),
        ]
        + ["+5", "-1", "0x10", "5, 5", "5 5", "", "1e1", "5_0", "5;", "\u{A0}5", "99999999999999999999999"].map {
            RawRequest("Content-Length: \($0)", post("Content-Length: \($0)\r\n", "xxxxx"), .refused(400))
        } + [
            RawRequest(
                "a Content-Length beyond 63 bits", post("Content-Length: 9223372036854775808\r\n", ""), .refused(413)),
            RawRequest(
                "a Content-Length over --max-body", post("Content-Length: 9223372036854775807\r\n", ""),
                .refused(413)),
            RawRequest("chunk size with 0x", chunks("0x\(chunked)"), .refused(400)),
            RawRequest("chunk size with a minus", chunks("-\(chunked)"), .refused(400)),
            RawRequest("chunk size of 65 bits", chunks("10000000000000000\(chunked)"), .refused(400)),
            RawRequest(
                "space behind a chunk size", chunks("\(hexLength) \r\n\(json)\r\n0\r\n\r\n"), .refused(400)),
            RawRequest("bare LF behind a chunk size", chunks("\(hexLength)\n\(json)\r\n0\r\n\r\n"), .refused(400)),
            RawRequest("bare LF behind a chunk", chunks("\(hexLength)\r\n\(json)\n0\r\n\r\n"), .refused(400)),
            RawRequest(
                "bare LF in a chunk extension", chunks("\(hexLength);a\nb\r\n\(json)\r\n0\r\n\r\n"), .refused(400)),
            RawRequest(
                "a line end in a quoted chunk extension",
                chunks("\(hexLength);a=\"b\r\n\"\r\n\(json)\r\n0\r\n\r\n"), .refused(400)),
            RawRequest("a chunk longer than its size", chunks("5\r\n\(json)\r\n0\r\n\r\n"), .refused(400)),
            RawRequest(
                "bare LF at the end of a chunked body", chunks("\(hexLength)\r\n\(json)\r\n0\n\n"), .refused(400)),
            RawRequest(
                "a trailer that is a length",
                chunks("\(hexLength)\r\n\(json)\r\n0\r\nContent-Length: 5\r\n\r\n"), .refused(400)),
            RawRequest(
                "chunked in capitals", post("Transfer-Encoding: CHUNKED\r\n", chunked) + smuggled,
                .answered([200, 404])),
            RawRequest(
                "a chunk extension", chunks("\(hexLength);a=b\r\n\(json)\r\n0\r\n\r\n"), .answered([200, 404])),
            RawRequest("zeros before a chunk size", chunks("000000000000000000\(chunked)"), .answered([200, 404])),
            RawRequest(
                "a trailer", chunks("\(hexLength)\r\n\(json)\r\n0\r\nX-Sum: 1\r\n\r\n"), .answered([200, 404])),
            RawRequest("a GET with a body", get("/healthz", "Content-Length: 5\r\n") + "hello", .answered([200])),
            RawRequest(
                "a HEAD with a body", "HEAD /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
                .answered([200])),
            RawRequest("two requests in one packet", get() + smuggled, .answered([200, 404])),
        ]

    /// Lines and fields (RFC 9112 §§2.2, 3, 5; RFC 9110 §5.5).
    static let syntax = [
        RawRequest("a folded field", get("/healthz", "X: a\r\n b\r\n"), .refused(400)),
        RawRequest("a folded coding", post("Transfer-Encoding:\r\n chunked\r\n", chunked), .refused(400)),
        RawRequest(
            "a fold in the first field", "GET /healthz HTTP/1.1\r\n Host: a\r\n\r\n", .refused(400)),
        RawRequest("bare LF", "GET /healthz HTTP/1.1\nHost: a\n\n", .refused(505)),
        RawRequest("bare LF behind a field", get("/healthz", "X: a\nY: b\r\n"), .refused(400)),
        RawRequest("bare LF as the end", "GET /healthz HTTP/1.1\r\nHost: a\r\n\n", .refused(400)),
        RawRequest("bare CR in a value", get("/healthz", "X: a\rb\r\n"), .refused(400)),
        RawRequest("bare CR behind a field", get("/healthz", "X: a\rY: b\r\n"), .refused(400)),
        RawRequest("bare CR as the end", "GET /healthz HTTP/1.1\r\nHost: a\r\n\rx", .refused(400)),
        RawRequest("space before the colon", get("/healthz", "X : a\r\n"), .refused(400)),
        RawRequest(
            "space before the colon of a coding", post("Transfer-Encoding : chunked\r\n", chunked), .refused(400)),
        RawRequest("tab before the colon", get("/healthz", "X\t: a\r\n"), .refused(400)),
        RawRequest("a field without a name", get("/healthz", ": a\r\n"), .refused(400)),
        RawRequest("a field without a colon", get("/healthz", "Xa\r\n"), .refused(400)),
        RawRequest("a name that is no token", get("/healthz", "X(a): a\r\n"), .refused(400)),
        RawRequest("a name beyond ASCII", get("/healthz", "X\u{C3}\u{A4}: a\r\n"), .refused(400)),
        RawRequest("NUL in a value", get("/healthz", "X: a\0b\r\n"), .refused(400)),
        RawRequest("NUL in a name", get("/healthz", "X\0Y: a\r\n"), .refused(400)),
        RawRequest("a control character in a value", get("/healthz", "X: a\u{1}b\r\n"), .refused(400)),
        RawRequest("space in the target", get("/health z"), .refused(400)),
        RawRequest("tabs in the request line", "GET\t/healthz\tHTTP/1.1\r\nHost: a\r\n\r\n", .refused(400)),
        RawRequest("space before the method", " " + get(), .refused(400)),
        RawRequest("space behind the version", get(version: "HTTP/1.1 "), .refused(505)),
        // Permitted by RFC 9112 §3, and it does not move the end of the request.
        RawRequest("two spaces in the request line", "GET  /healthz HTTP/1.1\r\nHost: a\r\n\r\n", .answered([200])),
        // Asked for by RFC 9112 §2.2.
        RawRequest("empty lines before a request", "\r\n\r\n" + get(), .answered([200])),
    ]

    /// Whom a request is for, and what (RFC 9112 §3.2; RFC 3986).
    static let target =
        [
            RawRequest("no Host", "GET /healthz HTTP/1.1\r\n\r\n", .answered([400])),
            RawRequest("two Host", get("/healthz", "Host: a\r\n"), .answered([400])),
            RawRequest(
                "two Host that differ", get("/healthz", "Host: b\r\n"), .answered([400])),
        ]
        + ["a/b", "u@a", "", "a, b", "a b", "a:99999", "a:-1", "[::1", "*"].map {
            RawRequest("Host: \($0)", "GET /healthz HTTP/1.1\r\nHost: \($0)\r\n\r\n", .answered([400]))
        } + [
            RawRequest("an absolute target", get("http://a/healthz"), .answered([200])),
            RawRequest("an absolute target for another host", get("http://b/healthz"), .answered([400])),
            RawRequest("an absolute target with a user", get("http://u@a/healthz"), .answered([400])),
            RawRequest("a backslash in an absolute target", get("http://a\\b/healthz"), .refused(400)),
            RawRequest("another scheme", get("file:///healthz"), .answered([400])),
            RawRequest("a fragment", get("/healthz#a"), .answered([400])),
            RawRequest("a fragment before the path", get("http://a#b/healthz"), .refused(400)),
            RawRequest("an empty segment", get("//healthz"), .answered([404])),
            RawRequest("dots", get("/x/../healthz"), .answered([404])),
            RawRequest("encoded dots", get("/x/%2e%2e/healthz"), .answered([404])),
            RawRequest("doubly encoded dots", get("/x/%252e%252e/healthz"), .answered([404])),
            RawRequest("an encoded slash", get("/%2fhealthz"), .answered([404])),
            RawRequest("an encoded question mark", get("/healthz%3fa"), .answered([404])),
            RawRequest("a route has one spelling", get("/%68ealthz"), .answered([404])),
            RawRequest("an encoded NUL in the path", get("/healthz%00"), .answered([404])),
            RawRequest("a path that is not UTF-8", get("/%ff"), .answered([404])),
            RawRequest("half an encoded byte in the path", get("/healthz%2"), .answered([404])),
            RawRequest("a NUL in the target", get("/healthz?\0"), .refused(400)),
            RawRequest("a target beyond ASCII", get("/healthz?\u{FF}"), .refused(400)),
        ]
        + ["a%00", "a%0d%0aX:%20y", "a%0a", "%ff", "a%2", "%", "%zz", "a%c3", "a%252", "a%7bb"].map {
            // "a%252" is the topic "a%2", which is one.
            RawRequest(
                "topic=\($0)", "HEAD /events?topic=\($0) HTTP/1.1\r\nHost: a\r\n\r\n",
                .answered([$0 == "a%252" ? 200 : 400]))
        }
        + ["a%00", "a%0d%0aid:%201", "%ff"].map {
            RawRequest("client=\($0)", "HEAD /events?client=\($0) HTTP/1.1\r\nHost: a\r\n\r\n", .answered([400]))
        }

    /// Methods, versions and expectations (RFC 9110 §§9, 10.1.1; RFC 9112 §2.3).
    static let semantics =
        ["TRACE", "PUT", "DELETE", "PATCH", "PURGE", "M-SEARCH", "PROPFIND"].map {
            RawRequest($0, "\($0) /healthz HTTP/1.1\r\nHost: a\r\n\r\n", .answered([405]))
        }
        + ["get", "MADEUP", "GET\0", "Get", "G\u{C4}T"].map {
            RawRequest("the method \($0)", "\($0) /healthz HTTP/1.1\r\nHost: a\r\n\r\n", .refused(400))
        } + [
            RawRequest("CONNECT to a path", "CONNECT /healthz HTTP/1.1\r\nHost: a\r\n\r\n" + smuggled, .refused(405)),
            RawRequest(
                "CONNECT to a host", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n" + smuggled, .refused(400)),
            RawRequest(
                "an upgrade to WebSocket",
                get("/healthz", "Connection: Upgrade\r\nUpgrade: websocket\r\n") + smuggled, .refused(200)),
            RawRequest(
                "an upgrade to h2c",
                get(
                    "/healthz",
                    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n")
                    + smuggled, .refused(200)),
            RawRequest("HTTP/0.9", "GET /healthz\r\n\r\n", .refused(505)),
            RawRequest(
                "a request behind Connection: close", get("/healthz", "Connection: close\r\n") + smuggled, .refused(200)
            ),
            RawRequest("a request behind one of HTTP/1.0", get(version: "HTTP/1.0") + smuggled, .refused(200)),
            RawRequest("another protocol's name", "DESCRIBE /healthz RTSP/1.0\r\nHost: a\r\n\r\n", .refused(405)),
            RawRequest(
                "an expectation that nobody knows", post("Expect: 200-ok\r\nContent-Length: \(length)\r\n", json),
                .answered([200])),
            RawRequest(
                "an expectation of HTTP/1.0",
                post("Expect: 100-continue\r\nContent-Length: \(length)\r\n", json, version: "HTTP/1.0"),
                .refused(200)),
        ]
        + ["HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3.0", "HTTP/01.1", "HTTP/1.10"].map {
            RawRequest($0, get(version: $0), .refused(505))
        } + [RawRequest("http/1.1", get(version: "http/1.1"), .refused(400))]
}
