// SPDX-License-Identifier: Apache-2.0
import SluiceGateway
import Testing

@Suite("Query")
struct QueryTests {
    /// U+0301 joins with the character before it, U+0600 with the one behind it.
    @Test(
        "fields and their values are divided by bytes, whatever characters Swift makes of them",
        arguments: [
            ("a=1&b=2", ["1"], ["2"]), ("a=\u{600}&b=2", ["\u{600}"], ["2"]), ("a=1&\u{301}=x&b=2", ["1"], ["2"]),
            ("a=\u{301}1&b=2", ["\u{301}1"], ["2"]), ("a&b==", [""], ["="]), ("&&b=2&", [], ["2"]),
            ("a=%26b=1", ["&b=1"], []),
        ])
    func fields(_ text: String, _ a: [String], _ b: [String]) throws {
        let query = try Query(text)
        #expect(try query.all("a") == a)
        #expect(try query.all("b") == b)
    }

    @Test(
        "more fields than are allowed are refused, and empty ones count",
        arguments: ["a=1&a=2&a=3&a=4", "b&c&d&e", "&&&&"])
    func tooMany(_ text: String) throws {
        #expect(try Query("a=1&a=2&a=3", fieldsMax: 3).all("a").count == 3)
        #expect(throws: HTTPProblem.self) { try Query(text, fieldsMax: 3) }
    }

    @Test(
        "the path ends at the first question mark, and is one behind any slash",
        arguments: [
            ("/events?a=1", "/events", "a=1"), ("/\u{600}?a", "/\u{600}", "a"),
            ("/\u{301}?\u{301}", "/\u{301}", "\u{301}"),
            ("http://h/\u{301}?a?b", "/\u{301}", "a?b"), ("http://h?a", "/", "a"), ("*", "*", ""),
        ])
    func target(_ uri: String, _ path: String, _ query: String) throws {
        let target = try RequestTarget(uri)
        #expect(target.path.utf8.elementsEqual(path.utf8))
        #expect(target.query == query)
    }
}
