// SPDX-License-Identifier: Apache-2.0

/// The questions of one node that are under way: who has answered, and whom the registry has that did not.
///
/// No I/O and no clock: whoever asks says when the time is up.
package struct Surveys {
    /// At once: each costs every node something.
    private static let openMax = 256
    /// Nodes whose answers are taken to one question, of the registry or not.
    private static let nodesMax = 1024

    package struct Outcome: Equatable {
        /// In the order of their nodes' names.
        package let answers: [SurveyAnswer]
        /// Nodes of the registry that did not answer.
        package let silent: [String]

        /// Of all nodes, for each name in the order of the question: zeros if nobody has answered.
        package let sums: [Int]

        package var isComplete: Bool { silent.isEmpty }
    }

    private struct Open {
        let names: Int
        let wantsReport: Bool
        /// nil: not known yet.
        var registered: Set<String>?
        var answers: [String: SurveyAnswer] = [:]
        var isTimeUp = false

        var outcome: Outcome? {
            guard let registered else { return nil }
            let silent = registered.filter { answers[$0] == nil }
            guard silent.isEmpty || isTimeUp else { return nil }
            let sums = answers.values.reduce(into: [Int](repeating: 0, count: names)) { sums, answer in
                for (index, count) in answer.counts.enumerated() { sums[index] += count }
            }
            return Outcome(
                answers: answers.values.sorted { $0.node < $1.node }, silent: silent.sorted(), sums: sums)
        }
    }

    private let node: String
    private var open: [String: Open] = [:]

    /// - Parameter node: which asks, and is always one of those that have to answer.
    package init(of node: String) {
        self.node = node
    }

    /// - Returns: whether it may be asked.
    package mutating func begin(_ question: SurveyQuestion) -> Bool {
        guard open.count < Surveys.openMax else { return false }
        open[question.id] = Open(names: question.targets.count, wantsReport: question.wantsReport)
        return true
    }

    /// The nodes that are in the registry.
    ///
    /// - Returns: what has come of the question, if that is all.
    package mutating func registry(_ nodes: [String], of id: String) -> Outcome? {
        open[id]?.registered = Set(nodes.prefix(Surveys.nodesMax)).union([node])
        return finish(id)
    }

    /// A node answers. Who answers to what nobody has asked, or something else than was asked, has not answered.
    ///
    /// - Returns: what has come of the question, if that is all.
    package mutating func answer(_ answer: SurveyAnswer) -> Outcome? {
        guard let question = open[answer.id], answer.counts.count == question.names,
            !question.wantsReport || answer.report != nil, question.answers.count < Surveys.nodesMax
        else { return nil }
        open[answer.id]?.answers[answer.node] = answer
        return finish(answer.id)
    }

    /// - Returns: what has come of the question until now; nil: the registry is not known yet, and the answer comes with it.
    package mutating func timeIsUp(_ id: String) -> Outcome? {
        open[id]?.isTimeUp = true
        return finish(id)
    }

    /// Nobody waits for it any more.
    package mutating func abandon(_ id: String) {
        open[id] = nil
    }

    private mutating func finish(_ id: String) -> Outcome? {
        guard let outcome = open[id]?.outcome else { return nil }
        open[id] = nil
        return outcome
    }
}
