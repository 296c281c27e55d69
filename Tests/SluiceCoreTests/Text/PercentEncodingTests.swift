// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import TestSupport
import Testing

@Suite("PercentEncoding")
struct PercentEncodingTests {
    @Test(
        "escapes are decoded to UTF-8, and a plus is a space in forms only",
        arguments: [
            ("", "", ""), ("abc", "abc", "abc"), ("a%20b", "a b", "a b"), ("a+b", "a+b", "a b"),
            ("a%2Bb", "a+b", "a+b"),
            ("a%2bb", "a+b", "a+b"), ("%25", "%", "%"), ("%2525", "%25", "%25"), ("%E6%97%A5", "日", "日"),
            ("%f0%9F%98%80", "😀", "😀"), ("日", "日", "日"), ("%00", "\0", "\0"), ("%0D%0A", "\r\n", "\r\n"),
            ("a=b&c", "a=b&c", "a=b&c"),
        ])
    func decodes(_ text: String, _ url: String, _ form: String) throws {
        let fromURL = try #require(PercentEncoding.decode(text, plusIsSpace: false))
        let fromForm = try #require(PercentEncoding.decode(text, plusIsSpace: true))
        #expect(Array(fromURL.utf8) == Array(url.utf8))
        #expect(Array(fromForm.utf8) == Array(form.utf8))
    }

    @Test(
        "a broken escape, or bytes that are not UTF-8, give nothing",
        arguments: [
            "%", "a%", "%1", "%g0", "%0g", "%-1", "%+1", "% 1", "%%", "%2", "%\u{FF11}0", "%FF", "%C3", "%C0%80",
            "%ED%A0%80", "%F0%9F%98",
            "%80", "é%80",
        ])
    func refuses(_ text: String) {
        #expect(PercentEncoding.decode(text, plusIsSpace: false) == nil)
        #expect(PercentEncoding.decode(text, plusIsSpace: true) == nil)
    }

    @Test(
        "all but the unreserved characters are encoded",
        arguments: [
            ("", ""), ("AZaz09-._~", "AZaz09-._~"), (" ", "%20"), ("+", "%2B"), ("%", "%25"),
            ("a/b?c=d&e", "a%2Fb%3Fc%3Dd%26e"),
            ("\n", "%0A"), ("\0", "%00"), ("é", "%C3%A9"), ("😀", "%F0%9F%98%80"), ("*'()!", "%2A%27%28%29%21"),
        ])
    func encodes(_ text: String, _ encoded: String) {
        #expect(PercentEncoding.encode(text) == encoded)
    }

    @Test("what is encoded decodes to the same bytes, in URLs and in forms", arguments: 0..<4 as Range<UInt64>)
    func roundTrip(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            var text = ""
            for _ in 0..<Int.random(in: 0...20, using: &generator) {
                let value =
                    UInt32.random(in: 0...0x10FFFF, using: &generator) >> UInt32.random(in: 0...20, using: &generator)
                if let scalar = Unicode.Scalar(value) { text.unicodeScalars.append(scalar) }
            }
            let encoded = PercentEncoding.encode(text)
            for plusIsSpace in [true, false] {
                let decoded = try #require(PercentEncoding.decode(encoded, plusIsSpace: plusIsSpace))
                #expect(Array(decoded.utf8) == Array(text.utf8))
            }
        }
    }
}
