// SPDX-License-Identifier: Apache-2.0
import Foundation
import Logging
import SluiceGateway
import Testing

@Suite("A line of the log")
struct LogLineTests {
    private static let hostile = [
        "a b", "a\nforged", "a\r\nb", "\"", "x=1", "\u{1B}[2J", "\0", "", "\u{2028}",
        String(repeating: "x", count: 99_999),
    ]

    @Test("is one line, whatever its message and values hold", arguments: hostile, [LogFormat.text, .json])
    func oneLine(value: String, format: LogFormat) throws {
        let text = LogLine(.warning, "message \(value.prefix(100))", [("field", value), ("last", "1")]).text(format)
        #expect(text.hasSuffix("\n") && text.count { $0 == "\n" } == 1 && !text.contains("\r"))
        #expect(text.utf8.count < 2000)
        guard format == .json else { return #expect(text.hasSuffix(" last=1\n")) }
        let json = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: String])
        #expect(json["field"] == String(value.prefix(1000)))
        #expect(json["level"] == "warning")
    }
}
