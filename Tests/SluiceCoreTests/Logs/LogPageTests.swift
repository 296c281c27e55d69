// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import Testing

@Suite("LogMarker")
struct LogPageTests {
    @Test(
        "a marker is an id, and says whether its event closed the topic",
        arguments: [
            ("5-1", LogMarker(id: EventID(5, 1), ends: false)), ("5-1 end", LogMarker(id: EventID(5, 1), ends: true)),
            ("5-1 other", LogMarker(id: EventID(5, 1), ends: false)), ("", nil), ("end", nil), ("5", nil),
            ("x 5-1", nil),
        ])
    func parses(_ text: String, _ marker: LogMarker?) {
        #expect(LogMarker(text) == marker)
    }
}
