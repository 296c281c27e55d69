// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import Testing

/// The surveys of node n1, in a box that expectations may change.
private final class Asking {
    private var surveys = Surveys(of: "n1")

    func begin(_ question: SurveyQuestion) -> Bool { surveys.begin(question) }
    func registry(_ nodes: [String], of id: String) -> Surveys.Outcome? { surveys.registry(nodes, of: id) }
    func answer(_ answer: SurveyAnswer) -> Surveys.Outcome? { surveys.answer(answer) }
    func timeIsUp(_ id: String) -> Surveys.Outcome? { surveys.timeIsUp(id) }
    func abandon(_ id: String) { surveys.abandon(id) }
}

@Suite("A survey of all nodes")
struct SurveysTests {
    private static func question(_ id: String, names: Int = 1, report: Bool = false) throws -> SurveyQuestion {
        SurveyQuestion(
            id: id, asker: "n1", targets: try (0..<names).map { try .client("c\($0)") }, wantsReport: report)
    }

    private func answer(_ node: String, _ counts: Int..., id: String = "q") -> SurveyAnswer {
        SurveyAnswer(id: id, node: node, counts: counts, report: nil)
    }

    @Test("is over as soon as every node of the registry has answered, and is complete then")
    func complete() throws {
        let surveys = Asking()
        #expect(surveys.begin(try SurveysTests.question("q")))
        // Before the registry is known: over another connection.
        #expect(surveys.answer(answer("n2", 2)) == nil)
        #expect(surveys.registry(["n2", "n3"], of: "q") == nil)
        #expect(surveys.answer(answer("n1", 1)) == nil)
        let outcome = try #require(surveys.answer(answer("n3", 0)))
        #expect(outcome.isComplete && outcome.sums == [3] && outcome.answers.map(\.node) == ["n1", "n2", "n3"])
        // Once.
        #expect(surveys.answer(answer("n3", 0)) == nil && surveys.timeIsUp("q") == nil)
    }

    @Test("is not complete without a node of the registry, which is named when the time is up")
    func silent() throws {
        let surveys = Asking()
        #expect(surveys.begin(try SurveysTests.question("q")))
        #expect(surveys.answer(answer("n1", 1)) == nil)
        #expect(surveys.registry(["n1", "n2"], of: "q") == nil)
        let outcome = try #require(surveys.timeIsUp("q"))
        #expect(!outcome.isComplete && outcome.silent == ["n2"] && outcome.sums == [1])
    }

    @Test("of which nothing has come, not even from the node that asks, has zeros for each name")
    func nobody() throws {
        let surveys = Asking()
        #expect(surveys.begin(try SurveysTests.question("q", names: 3)))
        #expect(surveys.registry([], of: "q") == nil)
        let outcome = try #require(surveys.timeIsUp("q"))
        #expect(outcome.answers.isEmpty && outcome.silent == ["n1"] && outcome.sums == [0, 0, 0])
    }

    @Test("waits for the registry where the time is up before that is known")
    func lateRegistry() throws {
        let surveys = Asking()
        #expect(surveys.begin(try SurveysTests.question("q")))
        #expect(surveys.answer(answer("n1", 1)) == nil && surveys.timeIsUp("q") == nil)
        #expect(surveys.registry(["n1", "n2"], of: "q")?.silent == ["n2"])
    }

    @Test("takes a node that is not in the registry yet, and does not wait for it")
    func newNode() throws {
        let surveys = Asking()
        #expect(surveys.begin(try SurveysTests.question("q")))
        #expect(surveys.answer(answer("new", 5)) == nil && surveys.registry([], of: "q") == nil)
        #expect(surveys.answer(answer("n1", 1))?.sums == [6])
    }

    @Test("is not confused by answers to what was not asked, by repeated ones, or by those of the wrong length")
    func hostile() throws {
        let surveys = Asking()
        #expect(surveys.begin(try SurveysTests.question("q", names: 2)))
        #expect(surveys.begin(try SurveysTests.question("r", report: true)))
        #expect(surveys.registry(["n1", "n2"], of: "q") == nil)
        #expect(surveys.answer(answer("n2", 1, 2, id: "other")) == nil)
        #expect(surveys.answer(answer("n2", 1)) == nil && surveys.answer(answer("n2", 1, 2, 3)) == nil)
        #expect(surveys.answer(answer("n2", 1, 1)) == nil && surveys.answer(answer("n2", 2, 2)) == nil)
        #expect(surveys.answer(answer("n1", 1, 0))?.sums == [3, 2])
        // It wanted a report.
        #expect(surveys.registry([], of: "r") == nil && surveys.answer(answer("n1", 1, id: "r")) == nil)
    }

    @Test("has bounds: so many at once, and so many nodes that answer")
    func bounds() throws {
        let surveys = Asking()
        let begun = try (0..<1000).count { surveys.begin(try SurveysTests.question("\($0)")) }
        #expect(begun == 256)
        surveys.abandon("0")
        #expect(surveys.begin(try SurveysTests.question("q")))
        for number in 0..<5000 { #expect(surveys.answer(answer("x\(number)", 1)) == nil) }
        #expect(surveys.timeIsUp("q") == nil)
        #expect(surveys.registry([], of: "q")?.answers.count == 1024)
    }
}
