// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import sluice

@Suite struct HeaderArgumentTests {
    @Test func headers() {
        #expect(HeaderArgument(argument: "A: b: c")?.value == "b: c")
        #expect(HeaderArgument(argument: "A:")?.value == "")
        for text in ["A", ": b", "A B: c", "A: b\r\nC: d"] { #expect(HeaderArgument(argument: text) == nil) }
    }
}
