// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import Testing

@Suite("TargetPattern")
struct TargetPatternTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let pattern: String
        let matching: [String]
        let others: [String]
        var testDescription: String { pattern.debugDescription }

        init(_ pattern: String, matches matching: [String], not others: [String]) {
            self.pattern = pattern
            self.matching = matching
            self.others = others
        }
    }

    private static let rows = [
        Row("news", matches: ["topic:news"], not: ["topic:new", "topic:news.", "topic:News", "client:news", "all"]),
        Row("topic:news", matches: ["topic:news"], not: ["client:news", "topic:topic:news", "all"]),
        Row("news.*", matches: ["topic:news.", "topic:news.a", "topic:news.*"], not: ["topic:news", "client:news.a"]),
        Row("*", matches: ["topic:a", "topic:*", "topic:client:a", "topic:all"], not: ["client:a", "all"]),
        Row("topic:*", matches: ["topic:a"], not: ["client:a", "all"]),
        Row("client:*", matches: ["client:a", "client:topic:a"], not: ["topic:a", "topic:client:a", "all"]),
        Row("client:ann", matches: ["client:ann"], not: ["client:anna", "topic:ann", "topic:client:ann"]),
        Row("client:team-*", matches: ["client:team-", "client:team-1"], not: ["client:team", "topic:team-1"]),
        Row("topic:client:ann", matches: ["topic:client:ann"], not: ["client:ann"]),
        Row("all", matches: ["topic:all"], not: ["all", "client:all"]),
        Row("a*b", matches: ["topic:a*b"], not: ["topic:axb", "topic:a"]),
        Row("**", matches: ["topic:*", "topic:*a"], not: ["topic:a"]),
        Row("a?", matches: ["topic:a?"], not: ["topic:ab"]),
        Row("caf\u{E9}", matches: ["topic:caf\u{E9}"], not: ["topic:cafe\u{301}"]),
        Row("caf\u{E9}*", matches: ["topic:caf\u{E9}s"], not: ["topic:cafe\u{301}s"]),
        Row("cafe*", matches: ["topic:cafe\u{301}"], not: ["topic:caf\u{E9}"]),
        Row("a*\u{301}", matches: ["topic:a*\u{301}"], not: ["topic:ab", "topic:a"]),
    ]

    @Test("a pattern names what it says, byte for byte, and nothing else", arguments: rows)
    func matches(_ row: Row) throws {
        let pattern = try TargetPattern(row.pattern)
        for text in row.matching { #expect(pattern.matches(try #require(Target(text))), "\(text)") }
        for text in row.others { #expect(!pattern.matches(try #require(Target(text))), "\(text)") }
        #expect(Array(pattern.description.utf8) == Array(row.pattern.utf8))
        #expect(pattern.isBareStar == (row.pattern == "*"))
    }

    @Test(
        "a text that no name can begin with is refused, and the reason names it",
        arguments: [
            ("", .empty), ("topic:", .empty), ("client:", .empty), ("a b", .forbidden(" ")), ("a\n*", .forbidden("\n")),
            ("a{*", .forbidden("{")), ("client:}", .forbidden("}")),
            (String(repeating: "x", count: 256), .tooLong(bytes: 256)),
            (String(repeating: "x", count: 256) + "*", .tooLong(bytes: 256)),
        ] as [(String, InvalidName)])
    func refuses(text: String, problem: InvalidName) {
        #expect(throws: problem) { try TargetPattern(text) }
    }

    @Test("patterns that look the same but differ in bytes are different")
    func comparesBytes() throws {
        #expect(try TargetPattern("caf\u{E9}") != TargetPattern("cafe\u{301}"))
        #expect(try TargetPattern("a") == TargetPattern("a"))
    }
}
