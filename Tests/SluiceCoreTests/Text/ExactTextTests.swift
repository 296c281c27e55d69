// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import Testing

@Suite("ExactText")
struct ExactTextTests {
    /// The same mark at eight heights, in many orders: to Swift's strings they are all one text.
    private static let colliding: [String] = {
        let marks: [Unicode.Scalar] = [
            "\u{301}", "\u{316}", "\u{315}", "\u{31B}", "\u{345}", "\u{334}", "\u{35C}", "\u{35D}",
        ]
        func orders(_ rest: [Unicode.Scalar]) -> [[Unicode.Scalar]] {
            guard rest.count > 1 else { return [rest] }
            return rest.indices.flatMap { index in
                var others = rest
                let first = others.remove(at: index)
                return orders(others).map { [first] + $0 }
            }
        }
        return orders(marks).prefix(2000).map { order in
            var text = "a"
            text.unicodeScalars.append(contentsOf: order)
            return text
        }
    }()

    @Test(
        "What looks the same and has other bytes is another key, and does not share a hash: nobody can fill one bucket")
    func collisions() throws {
        let texts = ExactTextTests.colliding
        // So it is with strings, or this test shows nothing.
        #expect(Set(texts.map(\.hashValue)).count == 1)
        #expect(Set(texts.map { ExactText($0).hashValue }).count > texts.count - 10)
        #expect(Set(texts.map { ExactText($0) }).count == texts.count)
        let targets = try texts.map { try Target.topic($0) }
        #expect(Set(targets.map(\.hashValue)).count > texts.count - 10)
        #expect(Set(targets).count == texts.count)
    }

    @Test("Members of JSON that only look the same are not the same member")
    func members() throws {
        let texts = ExactTextTests.colliding
        let object = "{" + texts.map { "\"\($0)\":1" }.joined(separator: ",") + "}"
        #expect(try JSONText.object(object).count == texts.count)
        let first = texts[0]
        #expect(throws: MalformedJSON.self) { try JSONText.object("{\"\(first)\":1,\"\(first)\":2}") }
    }

    @Test("The same bytes are the same key, however they came together")
    func equality() {
        let long = String(repeating: "x", count: 100)
        for text in ["", "a", "é", long] {
            let copy = String(decoding: Array(text.utf8), as: UTF8.self)
            #expect(ExactText(text) == ExactText(copy) && ExactText(text).hashValue == ExactText(copy).hashValue)
        }
    }
}
