// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import TestSupport
import Testing

@Suite("JSONScanner")
struct JSONScannerTests {
    /// Tokens, with what each stands for, and the texts of a string joined; nil if the text is refused.
    private static func read(_ text: String, step: Int) -> [String]? {
        let bytes = Array(text.utf8)
        return bytes.withUnsafeBytes { bytes in
            var scanner = JSONScanner()
            var tokens: [String] = []
            var string: [UInt8] = []
            for limit in Array(stride(from: step, to: bytes.count, by: step)) + [bytes.count] {
                do {
                    while let token = try scanner.next(bytes, upTo: limit) {
                        switch token {
                        case .text(let range): string += bytes[range]
                        case .scalar(let scalar): string += scalar.utf8
                        case .stringEnds:
                            tokens.append("\"\(String(decoding: string, as: UTF8.self))\"")
                            string = []
                        case .name: tokens.append("name \(scanner.name)")
                        case .number: tokens.append("\(Array(bytes[scanner.tokenStart..<scanner.position]))")
                        default: tokens.append("\(token) \(scanner.depth)")
                        }
                    }
                    #expect(scanner.position == limit || scanner.position == bytes.count || limit < bytes.count)
                } catch { return nil }
            }
            do { try scanner.checkEnd() } catch { return nil }
            return tokens
        }
    }

    private static let texts = [
        #"{"a":1,"b":[true,false,null,-0.5e+3],"ü😀":{"a":"\u00e4\ud83d\ude00\n","b":{}},"c":"日本 😀"} "#,
        #"{"a":[[[]],{"x":[1,2]}],"":""}"#, "{}", #"{"a":"\ud83d"}"#, #"{"a":1,"a":2}"#, #"{"a":{"b":1,"b":2}}"#,
        #"{"a":tru}"#, #"{"a":1.}"#, #"{"a":"x"#, #"{"a":1"#, "{\"a\":\"\u{1}\"}",
    ]

    @Test("reads the same in steps of any length", arguments: texts)
    func steps(_ text: String) {
        let whole = JSONScannerTests.read(text, step: .max >> 1)
        for step in 1...9 { #expect(JSONScannerTests.read(text, step: step) == whole) }
    }

    @Test("The same name may be in two objects, and not twice in one, however it is written")
    func names() {
        #expect(JSONScannerTests.read(#"{"a":[{"a":1},{"a":1,"b":{"a":1}}],"b":1}"#, step: 100) != nil)
        #expect(JSONScannerTests.read(#"{"x":[{"a":1,"b":{"a":1},"\u0061":2}]}"#, step: 100) == nil)
    }

    @Test(
        "Bytes that are not UTF-8 are refused, wherever they are",
        arguments: [
            [0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82], [0x80],
            [0xF0, 0x80, 0x80, 0x80],
        ] as [[UInt8]])
    func notUTF8(_ bad: [UInt8]) {
        for (before, after) in [(#"{"a":""#, #""}"#), (#"{""#, #"":1}"#), (#"{"a":1"#, "}"), (#"{"a":"\"#, #""}"#)] {
            let bytes = Array(before.utf8) + bad + Array(after.utf8)
            bytes.withUnsafeBytes { bytes in
                var scanner = JSONScanner()
                #expect(throws: MalformedJSON.self) {
                    while try scanner.next(bytes, upTo: bytes.count) != nil {}
                    try scanner.checkEnd()
                }
            }
        }
    }
}
