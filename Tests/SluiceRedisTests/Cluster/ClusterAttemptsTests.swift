// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceRedis
import Testing

@Suite("ClusterAttempts")
struct ClusterAttemptsTests {
    private static let asked = RedisAddress(host: "a", port: 1)
    private static let other = RedisAddress(host: "b", port: 2)
    private static let now = NIODeadline.uptimeNanoseconds(1000)

    private struct Effect: Equatable {
        let action: ClusterAttempts.Action
        var sign = ClusterAttempts.Sign.none
    }

    private static func failed(
        _ attempts: inout ClusterAttempts, _ error: RedisError, after time: TimeAmount = .zero,
        limit: TimeAmount = .hours(1)
    ) -> Effect {
        let (action, sign) = attempts.failed(error, asked: asked, now: now + time, limit: now + limit)
        return Effect(action: action, sign: sign)
    }

    @Test("what each failure means for a command that may wait, for one that may not, and for the topology")
    func table() {
        let rows: [(RedisError, ClusterAttempts.Action, ClusterAttempts.Action, ClusterAttempts.Sign)] = [
            (.unavailable, .tryLater, .fail, .look(trusting: nil)),
            // Whether it was carried out is not known: it is never sent again.
            (.lost("x"), .fail, .fail, .look(trusting: nil)),
            (.overloaded, .fail, .fail, .none),
            (.refused("TRYAGAIN Multiple keys"), .tryLater, .fail, .none),
            (.refused("LOADING Redis is"), .tryLater, .fail, .none),
            (.refused("ERR Function not found"), .tryLater, .fail, .none),
            (.refused("CLUSTERDOWN The cluster"), .tryLater, .fail, .look(trusting: nil)),
            (.refused("READONLY You can't"), .tryLater, .fail, .look(trusting: nil)),
            (.refused("MASTERDOWN Link"), .tryLater, .fail, .look(trusting: nil)),
            (.refused("SLUICE bad key"), .fail, .fail, .none), (.refused("OOM command"), .fail, .fail, .none),
            (.refused("NOPERM this user"), .fail, .fail, .none),
        ]
        for (error, patient, impatient, sign) in rows {
            var attempts = ClusterAttempts(until: ClusterAttemptsTests.now + .seconds(2))
            var effect = ClusterAttemptsTests.failed(&attempts, error)
            #expect(effect == Effect(action: patient, sign: sign), "\(error)")
            attempts = ClusterAttempts(until: ClusterAttemptsTests.now)
            effect = ClusterAttemptsTests.failed(&attempts, error)
            #expect(effect == Effect(action: impatient, sign: sign), "\(error)")
        }
    }

    @Test(
        "a redirection is followed once, and a second one waits for a look at the topology", arguments: [false, true])
    func redirections(isAsking: Bool) throws {
        let error = RedisError.refused("\(isAsking ? "ASK" : "MOVED") 5 b:2")
        let redirection = try #require(
            Redirection("\(isAsking ? "ASK" : "MOVED") 5 b:2", asked: ClusterAttemptsTests.asked))
        let sign = isAsking ? ClusterAttempts.Sign.none : .look(trusting: ClusterAttemptsTests.other)
        for isPatient in [false, true] {
            var attempts = ClusterAttempts(until: ClusterAttemptsTests.now + (isPatient ? .seconds(2) : .zero))
            var effects: [Effect] = []
            for _ in 0..<2 { effects.append(ClusterAttemptsTests.failed(&attempts, error)) }
            attempts.tryAgain()
            effects.append(ClusterAttemptsTests.failed(&attempts, error))
            let follow = Effect(action: .follow(redirection), sign: sign)
            #expect(effects == [follow, Effect(action: isPatient ? .tryLater : .fail, sign: sign), follow])
        }
    }

    @Test("nothing is tried again when its own time is over, or its partition's")
    func limits() {
        var attempts = ClusterAttempts(until: ClusterAttemptsTests.now + .seconds(2))
        let error = RedisError.refused("TRYAGAIN")
        let times: [(TimeAmount, limit: TimeAmount)] = [
            (.milliseconds(1999), .hours(1)), (.seconds(2), .hours(1)), (.milliseconds(500), .milliseconds(400)),
        ]
        let actions = times.map { ClusterAttemptsTests.failed(&attempts, error, after: $0, limit: $1).action }
        #expect(actions == [.tryLater, .fail, .fail])
    }
}
