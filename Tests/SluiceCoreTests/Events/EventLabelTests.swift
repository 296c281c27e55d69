// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import Testing

@Suite("EventLabel")
struct EventLabelTests {
    @Test(
        "a legal label may be a type and a key",
        arguments: [
            "a", "price", "Error", "checkpoints", "a b", "with: colon", "日本", "😀", "\u{2028}", " ",
            String(repeating: "x", count: 128), String(repeating: "😀", count: 32),
        ])
    func legal(_ label: String) {
        #expect(EventLabel.problem(type: label) == nil)
        #expect(EventLabel.problem(key: label) == nil)
    }

    @Test(
        "a label that could forge fields, or is too long, is refused",
        arguments: [
            "", "a\nb", "a\rb", "a\r\nb", "\n", "a\0", "\u{1}", "\u{1F}", "\u{7F}", "\u{80}", "\u{85}", "\u{9F}",
            "tab\there",
            String(repeating: "x", count: 129), String(repeating: "😀", count: 33),
        ])
    func illegal(_ label: String) {
        #expect(EventLabel.problem(type: label) != nil)
        #expect(EventLabel.problem(key: label) != nil)
    }

    @Test(
        "a reserved type is refused as a type, and is a key like any other",
        arguments: ["checkpoint", "gap", "pause", "error", "open"])
    func reserved(_ label: String) {
        #expect(EventLabel.problem(type: label) != nil)
        #expect(EventLabel.problem(key: label) == nil)
    }
}
