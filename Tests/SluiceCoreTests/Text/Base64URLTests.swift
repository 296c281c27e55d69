// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import Testing

@Suite("Base64URL")
struct Base64URLTests {
    /// RFC 4648 §10 without padding, and RFC 7515 appendix C.
    @Test(
        "bytes have the text of the RFCs",
        arguments: [
            ([], ""), (Array("f".utf8), "Zg"), (Array("fo".utf8), "Zm8"), (Array("foo".utf8), "Zm9v"),
            (Array("foobar".utf8), "Zm9vYmFy"), ([3, 236, 255, 224, 193], "A-z_4ME"),
        ] as [([UInt8], String)])
    func vectors(bytes: [UInt8], text: String) {
        #expect(Base64URL.encode(bytes) == text)
        #expect(Base64URL.decode(text) == bytes)
    }

    @Test(
        "bytes have no other text: padding, other alphabets, spare bits and lone characters are refused",
        arguments: ["Zg==", "Zg=", "A+z/4ME", "Zh", "Zm9", "Z", "Zm9vY", "Zm 9v", "Zm9v\n", "Zm9vé", "Zg.", "Z\u{0}"])
    func strict(text: String) {
        #expect(Base64URL.decode(text) == nil)
    }

    @Test("what is encoded decodes to the same", arguments: 0...70)
    func roundTrip(count: Int) {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 251 &+ 199) }
        #expect(Base64URL.decode(Base64URL.encode(bytes)) == bytes)
    }
}
