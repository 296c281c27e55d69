// SPDX-License-Identifier: Apache-2.0

/// What one node says to a ``SurveyQuestion``: `{"answer":"<id>","node":"n2","counts":[3,0],"report":{…}}`.
package struct SurveyAnswer: Equatable, Sendable {
    /// A longer one is dropped.
    package static let bytesMax = 32 * 1024
    private static let countRange = 0...1_000_000_000

    /// Of the question.
    package let id: String
    package let node: String
    /// Streams of each client and topic, in the order of the question.
    package let counts: [Int]
    package let report: NodeReport?

    package init(id: String, node: String, counts: [Int], report: NodeReport?) {
        self.id = id
        self.node = node
        self.counts = counts
        self.report = report
    }

    /// A member that is not known is of a later version, and ignored.
    package init(json text: String) throws(MalformedMessage) {
        var members = try MessageMembers(json: text)
        id = try SurveyQuestion.id(&members, "answer")
        node = try members.node("node")
        let elements = try members.array("counts")
        guard elements.count <= SurveyQuestion.namesMax else { throw MessageMembers.wrong("counts", "fewer numbers") }
        var counts: [Int] = []
        counts.reserveCapacity(elements.count)
        for element in elements {
            guard let count = Int(element.text), SurveyAnswer.countRange.contains(count) else {
                throw MessageMembers.wrong("counts", "an array of whole numbers")
            }
            counts.append(count)
        }
        self.counts = counts
        report = try members.object("report").map { text throws(MalformedMessage) in try NodeReport(json: text) }
    }

    package var json: String {
        let counts = counts.map { String($0) }.joined(separator: ",")
        let report = report.map { ",\"report\":{\($0.members)}" } ?? ""
        return "{\"answer\":\(JSONText.quoted(id)),\"node\":\(JSONText.quoted(node)),\"counts\":[\(counts)]\(report)}"
    }
}
