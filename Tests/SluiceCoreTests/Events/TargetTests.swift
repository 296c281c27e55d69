// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import Testing

@Suite("Target")
struct TargetTests {
    struct Name: Sendable, CustomTestStringConvertible {
        let text: String
        let problem: InvalidName?
        var testDescription: String { "\(text.debugDescription.prefix(20)), \(text.utf8.count) bytes" }

        init(_ text: String, _ problem: InvalidName? = nil) {
            self.text = text
            self.problem = problem
        }
    }

    private static let legal: [Name] = [
        Name("n"), Name("orders.42"), Name("a:b"), Name("topic:x"), Name("all"), Name("*"), Name("?"), Name("[a-z]"),
        Name("h[^e]llo"), Name("a\\b"), Name("\"quoted\""), Name("/a/b"), Name("a,b"), Name("-"), Name("日本"),
        Name("😀"), Name("é"), Name("e\u{301}"), Name("\u{301}mark"),
        Name("\u{200B}"), Name("\u{FEFF}"), Name("\u{10FFFF}"), Name("\u{E000}"),
        Name(String(repeating: "x", count: 255)), Name(String(repeating: "😀", count: 63) + "abc"),
    ]

    private static let illegal: [Name] =
        [
            Name("", .empty), Name(String(repeating: "x", count: 256), .tooLong(bytes: 256)),
            Name(String(repeating: "😀", count: 64), .tooLong(bytes: 256)),
            Name(String(repeating: "é", count: 128), .tooLong(bytes: 256)),
            Name("a{b", .forbidden("{")), Name("a}b", .forbidden("}")), Name("{7}:topic:x", .forbidden("{")),
            Name("a\r\nb", .forbidden("\r")),
        ]
        + forbidden.map { Name("a\(Character($0))b", .forbidden($0)) }

    /// Cc and White_Space of the Unicode Character Database, by hand.
    private static let forbidden: [Unicode.Scalar] =
        ((0...0x20).map { UInt32($0) } + (0x7F...0xA0).map { UInt32($0) }
        + [
            0x1680, 0x2000, 0x2001, 0x2002, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008, 0x2009, 0x200A, 0x2028,
            0x2029, 0x202F, 0x205F, 0x3000,
        ]).compactMap(Unicode.Scalar.init)

    @Test("a legal name is taken by topics and clients, byte for byte", arguments: legal)
    func takesLegalNames(_ name: Name) throws {
        let topic = try Target.topic(name.text)
        #expect(Array(topic.description.utf8) == Array("topic:\(name.text)".utf8))
        #expect(topic.kind == .topic)
        #expect(Array(topic.name.utf8) == Array(name.text.utf8))
        let client = try Target.client(name.text)
        #expect(Array(client.description.utf8) == Array("client:\(name.text)".utf8))
        #expect(client.kind == .client)
        #expect(Array(client.name.utf8) == Array(name.text.utf8))
        #expect(topic != client)
    }

    @Test("what is printed parses back to the same target", arguments: legal)
    func roundTrip(_ name: Name) throws {
        for target in [try Target.topic(name.text), try Target.client(name.text), .all] {
            #expect(Target(target.description) == target)
        }
    }

    @Test("an illegal name is refused, and the reason names it", arguments: illegal)
    func refusesIllegalNames(_ name: Name) throws {
        let problem = try #require(name.problem)
        #expect(throws: problem) { try Target.topic(name.text) }
        #expect(throws: problem) { try Target.client(name.text) }
        #expect(Target("topic:\(name.text)") == nil)
        #expect(Target("client:\(name.text)") == nil)
    }

    @Test(
        "a text of another form is no target",
        arguments: [
            "", "al", "all ", "ALL", "topic", "topic:", "client:", "Topic:a", "topics:a", "node:a", ":topic:a", "a",
        ])
    func refusesOtherForms(_ text: String) {
        #expect(Target(text) == nil)
    }

    @Test("the target of everyone has a kind of its own and no name")
    func everyone() throws {
        #expect(Target.all.kind == .all)
        #expect(Target.all.name.isEmpty)
        #expect(Target("all") == .all)
        #expect(try Target.topic("all") != .all)
    }

    @Test("names that look the same but differ in bytes are different targets, as they are to Redis")
    func comparesBytes() throws {
        let one = try Target.topic("caf\u{E9}")
        let two = try Target.topic("cafe\u{301}")
        #expect(one != two)
        #expect(Set([one, two, one]).count == 2)
        #expect([one: 1][two] == nil)
    }

    @Test("a refusal says what is wrong")
    func describesProblems() {
        #expect(InvalidName.empty.description.contains("empty"))
        #expect(InvalidName.tooLong(bytes: 300).description.contains("300 bytes"))
        #expect(InvalidName.forbidden("\u{85}").description.contains("U+85"))
    }
}
