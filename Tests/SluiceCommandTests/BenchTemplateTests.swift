// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import sluice

@Suite struct BenchTemplateTests {
    @Test func fillsThePlacesIn() {
        let template = BenchTemplate(#"{"topic":"t{t}","from":{i},"data":"{data}","x":{}}"#)
        #expect(template.text(stream: 7, topic: 3, data: "~a~") == #"{"topic":"t3","from":7,"data":"~a~","x":{}}"#)
        #expect(template.hasTopic && template.hasData)
        #expect(
            BenchTemplate("").text() == "" && BenchTemplate("{").text() == "{" && BenchTemplate("{i}{t}").text() == "00"
        )
        #expect(!BenchTemplate("/events?topic={T}").hasTopic)
    }
}
