// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import TestSupport
import Testing

@Suite("A traceparent")
struct TraceParentTests {
    @Test("is taken as W3C has it, with what later versions add left out", arguments: TraceParents.good)
    func takes(_ good: (text: String, isSampled: Bool)) {
        let trace = TraceParent(good.text)
        #expect(trace?.description == String(good.text.prefix(55)) && trace?.isSampled == good.isSampled)
    }

    @Test("is as none where it is malformed", arguments: TraceParents.malformed)
    func refuses(_ text: String) {
        #expect(TraceParent(text) == nil)
    }
}
