// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import TestSupport
import Testing

@Suite("JSONText")
struct JSONTextTests {
    private static func value(_ text: String) throws -> JSONText.Member {
        try #require(try JSONText.object("{\"x\":\(text)}")["x"])
    }

    // MARK: Valid

    @Test(
        "a value is read and its text kept byte for byte, without the space around it",
        arguments: [
            ("true", .bool(true)), ("false", .bool(false)), ("null", .null), ("0", .number("0")), ("-0", .number("-0")),
            ("10", .number("10")), ("-1.50", .number("-1.50")), ("1e5", .number("1e5")), ("1E+05", .number("1E+05")),
            ("0.0e-00", .number("0.0e-00")),
            ("123456789012345678901234567890", .number("123456789012345678901234567890")),
            ("\"\"", .string("")), ("\"a b\"", .string("a b")), ("{}", .object), ("{ \"a\" : [ 1 , { } ] }", .object),
            ("[]", .array([])), ("[ ]", .array([])), ("{\"a\":{\"a\":1}}", .object),
        ] as [(String, JSONText.Value)])
    func values(_ text: String, _ value: JSONText.Value) throws {
        for space in ["", " ", "\t\r\n  "] {
            let member = try JSONTextTests.value(space + text + space)
            #expect(member.value == value)
            #expect(Array(member.text.utf8) == Array(text.utf8))
        }
    }

    @Test("an array's elements keep their own texts")
    func array() throws {
        let member = try JSONTextTests.value("[ 1.0 , \"\\u0061\" ,[ ],{ \"b\":2 }]")
        guard case .array(let elements) = member.value else { throw MalformedJSON.Unexpected() }
        #expect(elements.map { String($0.text) } == ["1.0", "\"\\u0061\"", "[ ]", "{ \"b\":2 }"])
        #expect(elements.map(\.value) == [.number("1.0"), .string("a"), .array([]), .object])
    }

    @Test(
        "a string's escapes are undone, its other characters kept",
        arguments: [
            (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{C}\n\r\t"), (#""\u0041\u00e9\u00E9""#, "Aéé"), (#""\u0000""#, "\0"),
            (#""\ud83d\ude00""#, "😀"), (#""\uD800\uDC00""#, "\u{10000}"), (#""\uDBFF\uDFFF""#, "\u{10FFFF}"),
            (#""\uFFFF\uD7FF\uE000""#, "\u{FFFF}\u{D7FF}\u{E000}"), ("\"日本 😀\"", "日本 😀"),
            ("\"\u{7F}\u{2028}\"", "\u{7F}\u{2028}"),
            (#""a\\""#, "a\\"), (#""\\u0041""#, "\\u0041"), ("\"e\u{301}\"", "e\u{301}"), ("\"\u{301}\"", "\u{301}"),
            ("\"\\n\u{301}\"", "\n\u{301}"),
        ])
    func strings(_ text: String, _ value: String) throws {
        guard case .string(let read) = try JSONTextTests.value(text).value else {
            throw MalformedJSON.Unexpected()
        }
        #expect(Array(read.utf8) == Array(value.utf8))
    }

    @Test("an object is its members, whatever their order and the space between")
    func object() throws {
        let members = try JSONText.object(" \n{ \"a\":1,\"b\" :\t{\"c\":[]} , \"\":null,\"\\u0061\\n\":true } \r")
        #expect(Set(members.keys) == ["a", "b", "", "a\n"])
        #expect(members["b"]?.text == "{\"c\":[]}")
        #expect(members["b"]?.value == .object)
        #expect(members[""]?.value == .null)
        #expect(try JSONText.object("{}").isEmpty)
        #expect(try JSONText.object(" { } ").isEmpty)
    }

    // MARK: Invalid

    @Test(
        "what is not a value of RFC 8259 is refused",
        arguments: [
            "", "01", "-", "+1", "1.", ".5", "-.5", "1.e5", "1e", "1e+", "0x10", "1_000", "- 1", "00", "-01", "１",
            "NaN", "Infinity",
            "-Infinity", "True", "TRUE", "nul", "nulls", "tru e", "undefined", "'a'", "a", "\"", "\"a", "\"a\\\"",
            #""\x41""#, #""\a""#,
            #""\'""#, #""\u12""#, #""\u12G4""#, #""\u 123""#, #""\U0041""#, #""\ud83d""#, #""\ude00""#,
            #""\ud83d\ud83d""#, #""\ud83dx""#,
            #""\ud83d\n""#, #""\ud83d\u0041""#, #""\ude00\ud83d""#, "\"a\nb\"", "\"\u{0}\"", "\"\u{1F}\"", "\"\t\"",
            "[", "]", "[1", "[1,",
            "[1,]", "[,1]", "[,]", "[1 2]", "[1,,2]", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{a:1}",
            "{'a':1}", "{1:1}",
            "{\"a\" 1}", "{\"a\":1 \"b\":2}", "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "{\"a\":1]", "[1}", "1 2",
            "/* c */ 1",
            "1 // c", "\u{A0}1", "\u{FEFF}1", "1\u{B}", "\u{C}1", "{\"a\":1}}", "\\u0031",
        ])
    func malformed(_ text: String) {
        #expect(throws: MalformedJSON.self) { try JSONText.object("{\"x\":\(text)}") }
    }

    @Test(
        "what is not one object is refused",
        arguments: [
            "", " ", "null", "[]", "\"a\"", "1", "{", "}", "{}{}", "{} x", "{},", "\u{FEFF}{}", "{}\0",
            "{\"a\":1,\"a\":1}",
        ])
    func notAnObject(_ text: String) {
        #expect(throws: MalformedJSON.self) { try JSONText.object(text) }
    }

    @Test("a refusal says where, in bytes")
    func position() throws {
        let error = #expect(throws: MalformedJSON.self) { try JSONText.object("{\"日\"1}") }
        #expect(try #require(error).description == "a colon is expected, at byte 6")
    }

    @Test("64 levels below the object are read, one more is refused without harm", arguments: ["[", "{\"a\":"])
    func nesting(_ opening: String) throws {
        func nested(_ levels: Int) -> String {
            let closing = opening == "[" ? "]" : "}"
            let innermost = opening == "[" ? "[]" : "{}"
            return String(repeating: opening, count: levels - 1) + innermost
                + String(repeating: closing, count: levels - 1)
        }
        #expect(try JSONTextTests.value(nested(64)).text == nested(64)[...])
        #expect(throws: MalformedJSON.self) { try JSONTextTests.value(nested(65)) }
        #expect(throws: MalformedJSON.self) { try JSONTextTests.value(String(repeating: opening, count: 200_000)) }
    }

    // MARK: Fuzz

    private static let seeds = [
        #"{"topic":"news","data":{"eur":4.50,"list":[1,-2e+3,true,null,"\ud83d\ude00 \u0041"]},"end":false}"#,
        #"{"topics":["a","b\\"],"data":"x\ny","ttl":60,"key":"日本"}"#, #"{ "a" : [ [ ] , { } , "" ] }"#,
    ]

    @Test(
        "a mutated text is refused, or each of its values reads the same by itself",
        arguments: 0..<8 as Range<UInt64>)
    func fuzz(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let alphabet = Array("{}[]\",:\\u0123456789abfnrt+-.eE \n\u{1}".utf8) + [0xF0, 0x9F, 0x98, 0x80, 0xCC, 0x81]
        var accepted = 0
        for _ in 0..<1500 {
            var bytes = Array((JSONTextTests.seeds.randomElement(using: &generator) ?? "").utf8)
            for _ in 0..<Int.random(in: 0...3, using: &generator) where !bytes.isEmpty {
                let index = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes.remove(at: index)
                case 1: bytes.insert(alphabet.randomElement(using: &generator) ?? 0, at: index)
                case 2: bytes[index] = alphabet.randomElement(using: &generator) ?? 0
                default: bytes = Array(bytes.prefix(max(1, index)))
                }
            }
            let text = String(decoding: bytes, as: UTF8.self)
            guard let members = try? JSONText.object(text) else { continue }
            accepted += 1
            for member in members.values {
                let alone = try JSONTextTests.value(String(member.text))
                #expect(alone == member)
            }
        }
        #expect(accepted > 200 && accepted < 1400)
    }

    // MARK: Quoting

    @Test(
        "a quoted string reads back as it was",
        arguments: [
            ("", "\"\""), ("a\"b\\c/", "\"a\\\"b\\\\c/\""), ("\n\r\t", "\"\\n\\r\\t\""),
            ("\u{0}\u{1}\u{1F}\u{7F}", "\"\\u0000\\u0001\\u001f\u{7F}\""),
            ("日😀\u{2028}", "\"日😀\u{2028}\""), ("\"\u{301}", "\"\\\"\u{301}\""), ("\r\n", "\"\\r\\n\""),
        ])
    func quoted(_ text: String, _ quoted: String) throws {
        #expect(Array(JSONText.quoted(text).utf8) == Array(quoted.utf8))
        guard case .string(let read) = try JSONTextTests.value(quoted).value else {
            throw MalformedJSON.Unexpected()
        }
        #expect(Array(read.utf8) == Array(text.utf8))
    }
}

extension MalformedJSON {
    fileprivate struct Unexpected: Error {}
}
