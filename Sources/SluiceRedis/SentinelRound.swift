// SPDX-License-Identifier: Apache-2.0

/// One question to all Sentinels: where is the master?
///
/// What more than half of them say counts at once, so that neither one that is dead delays the answer nor one that is cut
/// off from the others gives it. Without such a half it is what most of those say that have answered in time.
package struct SentinelRound {
    package enum Answer: Equatable, Sendable {
        case master(RedisAddress)
        /// It watches no master of that name.
        case noSuchMaster
        case failed(String)
    }

    package enum Outcome: Equatable, Sendable {
        case master(RedisAddress)
        /// None of them watches a master of that name.
        case noSuchMaster
        /// None has an answer; why, by the Sentinels' numbers.
        case silence([Int: String])
    }

    private var answers: [Answer?]
    private let before: RedisAddress?
    private var isOver = false

    /// - Parameter before: what they said last, which stays where as many say one thing as another.
    package init(sentinels count: Int, before: RedisAddress?) {
        answers = Array(repeating: nil, count: count)
        self.before = before
    }

    /// - Returns: the outcome, once, when it is clear.
    package mutating func answered(_ answer: Answer, by sentinel: Int) -> Outcome? {
        guard !isOver, answers[sentinel] == nil else { return nil }
        answers[sentinel] = answer
        if case .master(let address) = answer, votes(for: address) > answers.count / 2 {
            isOver = true
            return .master(address)
        }
        return answers.contains(nil) ? nil : timeIsUp()
    }

    /// Who has said nothing by now is not waited for.
    package mutating func timeIsUp() -> Outcome? {
        guard !isOver else { return nil }
        isOver = true
        var best = before
        for case .master(let address)? in answers where best.map({ votes(for: address) > votes(for: $0) }) ?? true {
            best = address
        }
        if let best, votes(for: best) > 0 { return .master(best) }
        if answers.contains(.noSuchMaster) { return .noSuchMaster }
        var reasons: [Int: String] = [:]
        for (sentinel, answer) in answers.enumerated() {
            if case .failed(let reason) = answer { reasons[sentinel] = reason } else { reasons[sentinel] = "no answer" }
        }
        return .silence(reasons)
    }

    private func votes(for address: RedisAddress) -> Int {
        answers.count { $0 == .master(address) }
    }
}
