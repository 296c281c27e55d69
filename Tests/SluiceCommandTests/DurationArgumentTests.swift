// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Testing

@testable import sluice

@Suite struct DurationArgumentTests {
    @Test func theNotationOfTheSettings() {
        #expect(DurationArgument(argument: "250ms")?.amount == .milliseconds(250))
        #expect(DurationArgument(argument: "15s")?.amount == .seconds(15))
        #expect(DurationArgument(argument: "1h")?.amount == .hours(1))
        #expect(DurationArgument(argument: "1500ms")?.amount == .milliseconds(1500))
        for text in ["", "5", "s", "-1s", "1.5s", "1d", "9999999999h", "٣s"] {
            #expect(DurationArgument(argument: text) == nil)
        }
    }
}
