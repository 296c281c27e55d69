// SPDX-License-Identifier: Apache-2.0
import SluiceRedis
import Testing

@Suite("SentinelRound")
struct SentinelRoundTests {
    private static let a = RedisAddress(host: "10.0.0.1", port: 6379)
    private static let b = RedisAddress(host: "10.0.0.2", port: 6379)

    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var count = 3
        var before: RedisAddress?
        /// Sentinels by their numbers, in the order of their answers.
        let answers: [(Int, SentinelRound.Answer)]
        /// What the last of them decides; nil: nothing yet.
        var outcome: SentinelRound.Outcome?
        /// What is decided when the time is up; nil: it was decided before.
        var late: SentinelRound.Outcome?
    }

    @Test(
        "what more than half say counts at once, else what most say of those that have answered in time",
        arguments: [
            Row(
                testDescription: "the only one", count: 1, answers: [(0, .master(a))], outcome: .master(a)),
            Row(
                testDescription: "two of three, and the third is not waited for", before: b,
                answers: [(2, .master(a)), (0, .master(a))], outcome: .master(a)),
            Row(
                testDescription: "one that is cut off from the others is not believed, though it is quickest",
                answers: [(0, .master(a)), (1, .master(b)), (2, .master(b))], outcome: .master(b)),
            Row(
                testDescription: "one of three, and two are dead", answers: [(1, .master(a))], late: .master(a)),
            Row(
                testDescription: "one of three, and two refuse",
                answers: [(0, .failed("x")), (1, .master(a)), (2, .failed("y"))], outcome: .master(a)),
            Row(
                testDescription: "one each, and the third is dead: the former stays", before: b,
                answers: [(0, .master(a)), (1, .master(b))], late: .master(b)),
            Row(
                testDescription: "one each, and neither is the former: the first",
                before: RedisAddress(host: "10.0.0.3", port: 1), answers: [(1, .master(b)), (0, .master(a))],
                late: .master(a)),
            Row(
                testDescription: "one that has not heard of the master yet does not count",
                answers: [(0, .noSuchMaster), (1, .noSuchMaster), (2, .master(a))], outcome: .master(a)),
            Row(
                testDescription: "a wrong name", answers: [(0, .noSuchMaster), (1, .failed("x"))],
                late: .noSuchMaster),
            Row(
                testDescription: "nobody", answers: [(0, .failed("x")), (2, .failed("y"))],
                late: .silence([0: "x", 1: "no answer", 2: "y"])),
            Row(
                testDescription: "nobody, whatever was before", count: 1, before: a, answers: [(0, .failed("x"))],
                outcome: .silence([0: "x"])),
            Row(
                testDescription: "a second answer of one is none", answers: [(0, .master(a)), (0, .master(a))],
                late: .master(a)),
        ])
    func decides(_ row: Row) {
        var round = SentinelRound(sentinels: row.count, before: row.before)
        for (index, answer) in row.answers.enumerated() {
            let outcome = round.answered(answer.1, by: answer.0)
            #expect(outcome == (index == row.answers.count - 1 ? row.outcome : nil))
        }
        #expect(round.timeIsUp() == row.late)
        #expect(round.timeIsUp() == nil && round.answered(.master(SentinelRoundTests.b), by: 0) == nil, "it is over")
    }

    @Test(
        "an answer that is no address is a failure",
        arguments: [
            (RESPValue.null, SentinelRound.Answer.noSuchMaster), (.array([]), .failed("an unexpected answer")),
            (.array([.status("h"), .status("1")]), .master(RedisAddress(host: "h", port: 1))),
            (.array([.status("h"), .status("0")]), .failed("an unexpected answer")),
            (.array([.status("h"), .integer(1)]), .failed("an unexpected answer")),
            (.status("OK"), .failed("an unexpected answer")),
        ])
    func reads(_ reply: RESPValue, _ answer: SentinelRound.Answer) {
        #expect(SentinelRound.Answer(.success(reply)) == answer)
        #expect(SentinelRound.Answer(.failure(RedisError.refused("NOPERM"))) == .failed("NOPERM"))
    }

    @Test(
        "a greeting tells a replica and a server of a cluster, and what is none tells nothing",
        arguments: [
            ("server redis mode standalone role master", false, false), ("mode cluster role replica", true, true),
            ("role slave mode standalone", true, false), ("mode sentinel", false, false),
        ])
    func greeting(_ words: String, isReplica: Bool, isOfCluster: Bool) {
        let greeting = RedisGreeting(.array(words.split(separator: " ").map { .status(String($0)) }))
        #expect(greeting?.isReplica == isReplica && greeting?.isOfCluster == isOfCluster)
        for none: RESPValue in [.status("OK"), .array([]), .array([.status("mode")]), .array([.integer(1), .null])] {
            #expect(RedisGreeting(none) == nil)
        }
    }
}
