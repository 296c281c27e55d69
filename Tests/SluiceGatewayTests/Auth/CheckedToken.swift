// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import SluiceCore
import SluiceGateway

extension TokenVerifier {
    /// What a token allows, by the way that a request's takes.
    func checked(_ token: String) async throws(HTTPProblem) -> Grant {
        let checks = TokenChecks(self, limits: .init(running: 1), counters: Counters())
        let asker = TokenChecks.Queue.Asker(address: nil, connection: nil)
        switch checks.check(token, of: asker, on: MultiThreadedEventLoopGroup.singleton.next()) {
        case .refused(let refusal): throw HTTPProblem(of: refusal)
        case .pending(_, let grant):
            do { return try await grant.get() } catch { throw HTTPProblem(of: error) }
        }
    }
}
