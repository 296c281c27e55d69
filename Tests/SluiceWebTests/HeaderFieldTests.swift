// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import SluiceWeb

@Suite struct HeaderFieldTests {
    @Test func headers() {
        #expect(HeaderField("A: b: c")?.value == "b: c")
        #expect(HeaderField("A:")?.value == "")
        for text in ["A", ": b", "A B: c", "A: b\r\nC: d"] { #expect(HeaderField(text) == nil) }
    }
}
