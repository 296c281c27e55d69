// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import SluiceBench

@Suite struct BenchTemplateTests {
    @Test func fillsThePlacesIn() {
        let template = Template(#"{"topic":"t{t}","from":{i},"data":"{data}","x":{}}"#)
        #expect(template.text(stream: 7, topic: 3, data: "~a~") == #"{"topic":"t3","from":7,"data":"~a~","x":{}}"#)
        #expect(template.hasTopic && template.hasData)
        #expect(
            Template("").text() == "" && Template("{").text() == "{" && Template("{i}{t}").text() == "00"
        )
        #expect(!Template("/events?topic={T}").hasTopic)
    }
}
