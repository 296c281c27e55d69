// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1
import SluiceGateway
import TestSupport
import Testing

@Suite("The client's address behind proxies")
struct ForwardedForTests {
    private func client(
        _ headers: [(String, String)], peer: String = "10.0.0.1", trusted: [String] = ["10.0.0.0/8", "fd00::/8"]
    ) throws -> String {
        let finder = ForwardedFor(trusted: try trusted.map { text in try NetworkRange(text) })
        return finder.client(peer: try #require(NetworkAddress(peer)), headers: HTTPHeaders(headers)).description
    }

    @Test("is the peer's if the peer is no trusted proxy, whatever the headers say")
    func untrusted() throws {
        let headers = [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1")]
        #expect(try client(headers, peer: "198.51.100.1") == "198.51.100.1")
        #expect(try client(headers, peer: "10.0.0.1", trusted: []) == "10.0.0.1")
        #expect(try client([], peer: "10.0.0.1") == "10.0.0.1")
    }

    @Test(
        "is the first from the right that is no trusted proxy's",
        arguments: [
            (["192.0.2.1"], "192.0.2.1"),
            (["8.8.8.8, 192.0.2.1"], "192.0.2.1"),
            (["8.8.8.8, 192.0.2.1, 10.0.0.3,10.0.0.2"], "192.0.2.1"),
            (["8.8.8.8", "192.0.2.1", "10.0.0.2"], "192.0.2.1"),
            (["8.8.8.8, 192.0.2.1, fd00::1"], "192.0.2.1"),
            (["8.8.8.8,\t[2001:db8::1]:443 , 10.0.0.2:80"], "2001:db8::1"),
            (["::ffff:192.0.2.1"], "192.0.2.1"),
            ([", ,192.0.2.1,, "], "192.0.2.1"),
            (["10.0.0.3, 10.0.0.2"], "10.0.0.3"),  // all trusted: the leftmost
            ([""], "10.0.0.1"),
        ])
    func walk(lines: [String], expected: String) throws {
        #expect(try client(lines.map { ("X-Forwarded-For", $0) }) == expected)
    }

    @Test(
        "is the last that was known where the header can't be read",
        arguments: [
            ("garbage", "10.0.0.1"), ("8.8.8.8, unknown", "10.0.0.1"), ("8.8.8.8, unknown, 10.0.0.2", "10.0.0.2"),
            ("8.8.8.8 10.0.0.2", "10.0.0.1"), ("8.8.8.8, \"10.0.0.2\"", "10.0.0.1"),
            ("8.8.8.8, 10.0.0.2:", "10.0.0.1"), ("8.8.8.8, 10.0.0.0/8", "10.0.0.1"),
        ])
    func garbage(line: String, expected: String) throws {
        #expect(try client([("X-Forwarded-For", line)]) == expected)
    }

    @Test("is not searched for without end")
    func bounded() throws {
        func chain(_ count: Int) -> String {
            "192.0.2.1, " + Array(repeating: "10.0.0.2", count: count).joined(separator: ", ")
        }
        #expect(try client([("X-Forwarded-For", chain(31))]) == "192.0.2.1")
        #expect(try client([("X-Forwarded-For", chain(32))]) == "10.0.0.2")
        #expect(try client([("X-Forwarded-For", "192.0.2.1" + String(repeating: ",", count: 32))]) == "10.0.0.1")
    }

    @Test(
        "is read from Forwarded where there is no X-Forwarded-For",
        arguments: [
            (["for=192.0.2.1"], "192.0.2.1"),
            (["For=\"192.0.2.1:47011\""], "192.0.2.1"),
            (["for=\"[2001:db8:cafe::17]:4711\""], "2001:db8:cafe::17"),
            (["for=[2001:db8::1]"], "2001:db8::1"),  // not by the book, but in the wild
            (["for=8.8.8.8, for=192.0.2.1;proto=http;by=203.0.113.43"], "192.0.2.1"),
            (["proto=https; for=192.0.2.1 ;host=\"a,b;c\\\"\", for=10.0.0.2"], "192.0.2.1"),
            (["for=8.8.8.8", "for=192.0.2.1", "for=10.0.0.2"], "192.0.2.1"),
            (["for=\"\\1\\92.0.2.1\""], "192.0.2.1"),
            (["for=8.8.8.8, for=unknown"], "10.0.0.1"),
            (["for=8.8.8.8, for=\"_hidden\", for=10.0.0.2"], "10.0.0.2"),
            (["for=8.8.8.8, proto=https"], "10.0.0.1"),
            (["for=8.8.8.8, for=192.0.2.1;for=192.0.2.2"], "10.0.0.1"),
            (["for=8.8.8.8, for"], "10.0.0.1"), (["for=8.8.8.8, for="], "10.0.0.1"),
            (["for=8.8.8.8, for=192.0.2.1 x"], "10.0.0.1"), (["for=8.8.8.8, for=\"192.0.2.1\"x"], "10.0.0.1"),
            (["for=8.8.8.8, for=\"192.0.2.1"], "10.0.0.1"), (["for=8.8.8.8, for=\"192.0.2.1\\"], "10.0.0.1"),
        ])
    func forwarded(lines: [String], expected: String) throws {
        #expect(try client(lines.map { ("Forwarded", $0) }) == expected)
    }

    @Test("is not read from Forwarded beside X-Forwarded-For")
    func precedence() throws {
        #expect(try client([("Forwarded", "for=8.8.8.8"), ("X-Forwarded-For", "192.0.2.1")]) == "192.0.2.1")
        #expect(try client([("Forwarded", "for=8.8.8.8"), ("X-Forwarded-For", "")]) == "10.0.0.1")
    }

    @Test(
        "can't be hidden by a quotation mark that the client left open before the proxy's own words",
        arguments: ["for=\"x", "for=8.8.8.8;by=\"", "\"", "for=\"\\", "for=\"\\\""])
    func openQuote(sent: String) throws {
        #expect(try client([("Forwarded", "\(sent), for=192.0.2.1;proto=https")]) == "192.0.2.1")
        #expect(try client([("Forwarded", "\(sent), for=\"[2001:db8::1]:80\"")]) == "2001:db8::1")
    }

    @Test("Nothing that a client sends before what the proxy adds makes it another's")
    func forgery() throws {
        var random = SeededGenerator(seed: 4)
        let pieces = ["for=", "8.8.8.8", ",", ";", "\"", "\\", "[::1]", " ", "by=", "10.0.0.2", "unknown", "="]
        for _ in 0..<2000 {
            let sent = (0..<Int.random(in: 0...12, using: &random))
                .map { _ in pieces[Int.random(in: 0..<pieces.count, using: &random)] }.joined()
            for name in ["X-Forwarded-For", "Forwarded"] {
                let added = name == "Forwarded" ? "for=192.0.2.1" : "192.0.2.1"
                #expect(try client([(name, "\(sent), \(added)")]) == "192.0.2.1", "\(name): \(sent)")
                #expect(try client([(name, sent), (name, added)]) == "192.0.2.1", "\(name): \(sent)")
            }
        }
    }
}
