// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore
import SluiceGateway
import SluiceRedis
import Testing

@Suite("What a client is told of a fault")
struct HTTPProblemTests {
    @Test(
        "is nothing in Redis' own words, which name its users, keys and addresses",
        arguments: [
            PublishFailure.unavailable("NOPERM User sluice-node has no permissions to access the key 'sluice:clock'"),
            RedisError.refused("OOM command not allowed when used memory > 'maxmemory'."),
            RedisError.unavailable, CancellationError(),
        ] as [any Error])
    func ownWords(error: any Error) {
        let problem = HTTPProblem(of: error)
        #expect(problem.status == .serviceUnavailable && problem.code == "unavailable")
        #expect(
            ["NOPERM", "OOM", "sluice-node", "clock", "Error"].allSatisfy { !problem.body.contains($0) },
            "\(problem.body)")
    }

    @Test("says to come again after a lost answer only to a publish whose token keeps it from being doubled")
    func lostAnswer() {
        for once in [nil, "token"] {
            let request = PublishRequest(targets: [.all], event: Event(ByteBuffer()), retention: nil, once: once)
            let outcome = PublishOutcome(request, [.failure(PublishFailure.unknown("lost"))])
            #expect(outcome.problem?.code == "unknown" && outcome.retryAfter == once.map { _ in "1" })
        }
    }

    @Test(
        "has a status, which the fault itself does not know",
        arguments: [
            (Authority.Refusal.hostMissing, .badRequest), (Authority.Refusal.contradiction, .badRequest),
            (Credentials.Refusal.headerRepeated(2), .badRequest),
            (Credentials.Refusal.cookiesTooLarge, .requestHeaderFieldsTooLarge),
            (TokenRefusal.expired, .unauthorized), (TokenRefusal.notValidHere, .unauthorized),
            (TokenRefusal.keyUnknown, .serviceUnavailable), (TokenRefusal.busy, .serviceUnavailable),
            (PublishFailure.conflict("no"), .conflict), (PublishFailure.unknown("lost"), .serviceUnavailable),
        ] as [(any Error, HTTPResponseStatus)])
    func statuses(error: any Error, status: HTTPResponseStatus) {
        let problem = HTTPProblem(of: error)
        #expect(problem.status == status)
        #expect(problem.headers.contains { $0.0 == "WWW-Authenticate" } == (status == .unauthorized))
    }

    @Test("is what was wrong with the request")
    func refusals() {
        #expect(HTTPProblem(of: PublishFailure.refused("SLUICE no")).message == "SLUICE no")
        #expect(HTTPProblem(of: HTTPProblem.notFound) == .notFound)
    }
}
