// SPDX-License-Identifier: Apache-2.0

/// A question to every node: how many streams it has of these clients and topics, or how it is.
///
/// `{"survey":"<id>","from":"n1","clients":["ann"],"topics":["news"],"report":true}`; the answer goes to the channel of the
/// node that asks.
package struct SurveyQuestion: Equatable, Sendable {
    /// Names that one question may have.
    package static let namesMax = 1000
    private static let idBytes = 1...64

    package let id: String
    /// The node that asks.
    package let asker: String
    /// Clients first.
    package let targets: [Target]
    package let wantsReport: Bool

    package init(id: String, asker: String, targets: [Target], wantsReport: Bool) {
        self.id = id
        self.asker = asker
        self.targets = targets
        self.wantsReport = wantsReport
    }

    init(_ members: inout MessageMembers) throws(MalformedMessage) {
        id = try SurveyQuestion.id(&members, "survey")
        asker = try members.node("from")
        wantsReport = try members.flag("report", default: false)
        let (clients, topics) = (try members.array("clients"), try members.array("topics"))
        guard clients.count + topics.count <= SurveyQuestion.namesMax else {
            throw MalformedMessage(description: "more than \(SurveyQuestion.namesMax) names")
        }
        targets =
            try SurveyQuestion.targets(clients, "clients", Target.client)
            + SurveyQuestion.targets(topics, "topics", Target.topic)
    }

    static func id(_ members: inout MessageMembers, _ name: String) throws(MalformedMessage) -> String {
        let id = try members.string(name)
        guard idBytes.contains(id.utf8.count) else { throw MessageMembers.wrong(name, "an id of 1 to 64 bytes") }
        return id
    }

    private static func targets(
        _ elements: [JSONText.Member], _ name: String, _ make: (String) throws(InvalidName) -> Target
    ) throws(MalformedMessage) -> [Target] {
        var targets: [Target] = []
        targets.reserveCapacity(elements.count)
        for element in elements {
            guard case .string(let text) = element.value, let target = try? make(text) else {
                throw MessageMembers.wrong(name, "an array of names")
            }
            targets.append(target)
        }
        return targets
    }

    var json: String {
        func names(_ name: String, _ kind: Target.Kind) -> String {
            let names = targets.filter { $0.kind == kind }
            guard !names.isEmpty else { return "" }
            return ",\"\(name)\":[\(names.map { JSONText.quoted($0.name) }.joined(separator: ","))]"
        }
        return "{\"survey\":\(JSONText.quoted(id)),\"from\":\(JSONText.quoted(asker))\(names("clients", .client))"
            + "\(names("topics", .topic))\(wantsReport ? ",\"report\":true" : "")}"
    }
}
