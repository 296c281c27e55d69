// SPDX-License-Identifier: Apache-2.0
import TestSupport

/// Makes what strangers might send: the same for the same seed.
struct HostileRequests {
    private var generator: SeededGenerator

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
    }

    mutating func number(_ range: ClosedRange<Int>) -> Int {
        Int.random(in: range, using: &generator)
    }

    private mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[number(0...elements.count - 1)]
    }

    mutating func garbage(_ count: ClosedRange<Int>) -> [UInt8] {
        (0..<number(count)).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }

    private mutating func word() -> String {
        pick([
            "a", "h1", "topic", "%00", "%0a%0d", "%", "%F", "%FF%FE", "%C3%A4", "+", "..", "{b}", "*", "[a]", "client",
            "\u{1F600}", "\u{85}", "'", "\"", "\\", "last_event_id", "5-5", "18446744073709551615-18446744073709551615",
            String(repeating: "a", count: number(0...300)),
        ])
    }

    private mutating func query() -> String {
        var fields: [String] = []
        for _ in 0..<number(0...5) {
            let name = pick(["topic", "client", "client_id", "message", "checkpoints", "last_event_id", word()])
            fields.append(pick(["\(name)=\(word())", "\(name)", "=\(word())", "\(name)=\(word())=\(word())", "&"]))
        }
        return fields.joined(separator: "&")
    }

    private mutating func value() -> String {
        pick([
            "\"x\"", "null", "1", "-1e999", "true", "[]", "{}", "[\"h1\",\"h2\"]", "\"\\ud800\"", "\"\\u0000\"",
            "\"h1\"",
            String(repeating: "[", count: number(0...100)),
            "\"" + String(repeating: "x", count: number(0...2000)) + "\"",
            "\"\u{FFFD}\u{2028}\"", "01", "NaN", "\"a\nb\"", "1.0", "9223372036854775808",
        ])
    }

    private mutating func json() -> String {
        var members: [String] = []
        for _ in 0..<number(0...6) {
            let name = pick([
                "topic", "topics", "client", "clients", "data", "data", "data_base64", "event", "key", "end", "log",
                "maxlen", "ttl", "once", "other", "",
            ])
            members.append("\"\(name)\":\(value())")
        }
        if number(0...2) > 0 { members += ["\"topic\":\"h\(number(0...9))\"", "\"data\":\"\(number(0...9))\""] }
        return "{" + members.joined(separator: pick([",", ",", ",", " , ", ";", ",,"])) + "}"
    }

    /// A request that is HTTP, whatever it asks for. Never a stream, so that one connection can carry many.
    mutating func plausible() -> (bytes: [UInt8], method: String) {
        let method = pick(["GET", "GET", "HEAD", "POST", "POST", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
        var path = pick([
            "/", "/publish", "/publish", "/publish", "/push", "/push", "/healthz", "/readyz", "/metrics", "/nothing",
            "//", "/%2e%2e/etc/passwd", "/\(word())", "/publish/", "http://h/publish", "/publish#x", "/events//", "*",
        ])
        path += pick(["", "?", "?\(query())", "?\(query())"])
        path = path.split(separator: " ").joined()
        var head = "\(method) \(path) HTTP/1.1\r\nHost: h\r\n"
        for _ in 0..<number(0...4) {
            head +=
                pick([
                    "Accept: */*", "Last-Event-ID: \(number(0...9))", "Origin: null", "Cookie: \(number(0...9))=",
                    "X-Forwarded-For: 1.1.1.1", "Content-Type: application/json", "Content-Type: application/x-ndjson",
                    "Content-Type: text/plain", "If-None-Match: *", "Range: bytes=0-", "Empty:",
                ]) + "\r\n"
        }
        var body: [UInt8] = []
        if method == "POST" || number(0...5) == 0 {
            body =
                number(0...9) == 0
                ? garbage(0...500) : Array((0..<number(1...3)).map { _ in json() }.joined(separator: "\n").utf8)
            if number(0...3) == 0 {
                return (Array((head + "Transfer-Encoding: chunked\r\n\r\n").utf8) + chunked(body), method)
            }
            head += "Content-Length: \(body.count)\r\n"
        }
        return (Array((head + "\r\n").utf8) + body, method)
    }

    private mutating func chunked(_ body: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = body[...]
        while !rest.isEmpty {
            let part = rest.prefix(number(1...200))
            rest = rest.dropFirst(part.count)
            bytes += Array("\(String(part.count, radix: 16))\r\n".utf8) + part + [13, 10]
        }
        return bytes + Array("0\r\n\r\n".utf8)
    }

    /// A request with faults: of bytes, of lengths, of order.
    mutating func mutated() -> [UInt8] {
        var bytes =
            number(0...3) == 0
            ? Array("GET /events?\(query()) HTTP/1.\(number(0...1))\r\nHost: h\r\n\r\n".utf8) : plausible().bytes
        for _ in 0..<number(1...6) where !bytes.isEmpty {
            let place = number(0...bytes.count - 1)
            switch number(0...6) {
            case 0: bytes[place] = UInt8(number(0...255))
            case 1: bytes.remove(at: place)
            case 2: bytes.insert(contentsOf: garbage(1...20), at: place)
            case 3: bytes.removeLast(min(bytes.count, number(1...bytes.count)))
            case 4: bytes.insert(contentsOf: bytes[place...].prefix(number(1...100)), at: place)
            case 5:
                let line = pick([
                    "Content-Length: 99999999999999999999\r\n", "Content-Length: -1\r\n", "Content-Length: 3\r\n",
                    "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip, chunked\r\n",
                    "Expect: 100-continue\r\n",
                    "Connection: Upgrade\r\nUpgrade: websocket\r\n",
                    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n",
                    " folded\r\n", ": \r\n", "X\0Y: z\r\n", "\r\n", "Host: other\r\n", "Connection: close\r\n",
                ])
                if let end = bytes.firstIndex(of: 10) { bytes.insert(contentsOf: Array(line.utf8), at: end + 1) }
            default:
                let start = pick([
                    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "CONNECT h:443 HTTP/1.1\r\n\r\n", "GET / HTTP/0.9\r\n\r\n",
                    "GET /\r\n",
                    "\u{16}\u{3}\u{1}", "GET / HTTP/1.1\n\n", "M-SEARCH * HTTP/1.1\r\n\r\n", "\r\n\r\n\r\n",
                    "GET\t/\tHTTP/1.1\r\n",
                ])
                bytes = Array(start.utf8) + bytes
            }
        }
        return bytes
    }

    /// What a publisher with a fault, or without good intent, might put on a channel.
    mutating func payload() -> [UInt8] {
        if number(0...3) == 0 { return garbage(0...300) }
        if number(0...9) == 0 {
            let words = ["5-5", "18446744073709551615-0", "18446744073709551615", "0", "-1", "tick", "", "1-1-1"]
            return Array("tick \(pick(words)) \(pick(words))".utf8)
        }
        var head = "\u{1E}" + pick(["1", "1", "1", "2", "", "01"]) + pick([" ", " ", "  ", "\t"])
        head += pick(["-", "5-5", "99999999999999-0", "18446744073709551615-18446744073709551615", "a-b", "-1-1", ""])
        head += pick([" -", " -", " 5-4", "", " - -"]) + pick(["\n", "\n", "\r\n", ""])
        for _ in 0..<number(0...3) {
            head += pick([
                "event: e\n", "event: open\n", "event: \n", "key: k\n", "end\n", "end \n", "other\n", "event: a\rb\n",
                ":\n",
            ])
        }
        var bytes = Array((head + pick(["\n", "\n", ""])).utf8) + garbage(0...200)
        if number(0...2) == 0, !bytes.isEmpty { bytes[number(0...bytes.count - 1)] = UInt8(number(0...255)) }
        return bytes
    }
}
