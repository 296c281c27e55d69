// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOPosix
import SluiceCore
import SluiceGateway
import TestSupport
import Testing

/// What tokens that nobody can tell from good ones without a look at their signature cost others, by counts.
@Suite("Checks of tokens", .timeLimit(.minutes(1)))
struct TokenChecksTests {
    private let loop = MultiThreadedEventLoopGroup.singleton.next()

    private func asker(_ number: Int) -> TokenChecks.Queue.Asker {
        TokenChecks.Queue.Asker(address: NetworkAddress(ipv4: UInt32(number)), connection: nil)
    }

    /// Each its own, so that none is known from the one before.
    private func forged(_ number: Int) async throws -> String {
        let good = try await TokenMaker.token(TokenMaker.p521.privatePEM, claims: "{\"jti\":\"\(number)\"}")
        let parts = good.split(separator: ".")
        return "\(parts[0]).\(Base64URL.encode("{\"jti\":\"forged \(number)\"}".utf8)).\(parts[2])"
    }

    private func verifier() async throws -> TokenVerifier {
        try await TokenVerifierTests.verifier(["--jwt-key", "@key"], files: ["key": TokenMaker.p521.publicPEM])
    }

    @Test("Forged tokens of one address are not checked before a good one of another, but for those under way")
    func newcomer() async throws {
        let counters = Counters()
        let checks = TokenChecks(try await verifier(), limits: .init(running: 1), counters: counters)
        let good = try await TokenMaker.token(TokenMaker.p521.privatePEM)
        var tokens: [String] = []
        for number in 0..<300 { tokens.append(try await forged(number)) }
        var forged: [EventLoopFuture<Grant>] = []
        for token in tokens {
            guard case .pending(_, let future) = checks.check(token, of: asker(1), on: loop) else { continue }
            forged.append(future)
        }
        let before = counters.tokensChecked.value
        guard case .pending(_, let future) = checks.check(good, of: asker(2), on: loop) else {
            return #expect(Bool(false), "refused")
        }
        let checked = future.map { _ in counters.tokensChecked.value }
        #expect(try await checked.get() - before < 20, "a turn for each address, and what was done meanwhile")
        #expect(forged.count == 300)
        for future in forged { await #expect(throws: TokenRefusal.self) { try await future.get() } }
        #expect(checks.count == 0)
    }

    @Test("What nobody waits for any more is not checked")
    func abandoned() async throws {
        let counters = Counters()
        let checks = TokenChecks(try await verifier(), limits: .init(running: 1), counters: counters)
        var tokens: [String] = []
        for number in 0..<300 { tokens.append(try await forged(number)) }
        var tickets: [TokenChecks.Queue.Ticket] = []
        var futures: [EventLoopFuture<Grant>] = []
        for token in tokens {
            guard case .pending(let ticket, let future) = checks.check(token, of: asker(1), on: loop) else { continue }
            tickets.append(ticket)
            futures.append(future)
        }
        for ticket in tickets { checks.abandon(ticket) }
        #expect(checks.count == 0)
        for future in futures { _ = try? await future.get() }
        let done = counters.tokensChecked.value
        #expect(done < 300)
        _ = try await TokenMaker.token(TokenMaker.p521.privatePEM)
        #expect(counters.tokensChecked.value <= done + 1)
    }

    @Test("Too many tokens of a connection are a passing fault")
    func connection() async throws {
        final class Connection {}
        let connection = Connection()
        // Its keys never come, so nothing gets out of the queue.
        let checks = try await TokenChecksTests.waiting()
        let asker = TokenChecks.Queue.Asker(address: nil, connection: ObjectIdentifier(connection))
        var problems: [HTTPProblem] = []
        var tickets: [TokenChecks.Queue.Ticket] = []
        for number in 0..<40 {
            let token = try await TokenMaker.token(TokenMaker.p256.privatePEM, kid: "\(number)")
            switch checks.check(token, of: asker, on: loop) {
            case .refused(let refusal): problems.append(HTTPProblem(of: refusal))
            case .pending(let ticket, _): tickets.append(ticket)
            }
        }
        #expect(tickets.count == 32 && problems.count == 8)
        #expect(
            problems.allSatisfy { $0.status == .serviceUnavailable && $0.headers.contains { $0.0 == "Retry-After" } })
        for ticket in tickets { checks.abandon(ticket) }
        #expect(checks.count == 0)
        withExtendedLifetime(connection) {}
    }

    /// Takes requests for its keys and never answers.
    private static func verifierWithoutKeys() async throws -> TokenVerifier {
        let keys = KeySetServer("")
        keys.serve(KeySetServer.Document(delay: .hours(1)))
        return try await TokenVerifierTests.verifier(["--jwks", "http://127.0.0.1:\(try await keys.start())/keys"])
    }

    private static func waiting() async throws -> TokenChecks {
        TokenChecks(try await verifierWithoutKeys(), limits: .init(running: 1), counters: Counters())
    }

    @Test("A connection that closes takes its token out of the queue")
    func closes() async throws {
        let verifier = try await TokenChecksTests.verifierWithoutKeys()
        let token = try await TokenMaker.token(TokenMaker.p256.privatePEM, kid: "1")
        try onThisThread(verifier, token)
    }

    private func onThisThread(_ verifier: TokenVerifier, _ token: String) throws {
        let node = EmbeddedNode(tokens: verifier)
        let checks = try #require(node.node.policy.tokenChecks)
        var channels: [EmbeddedChannel] = []
        for _ in 0..<10 {
            let channel = try node.connect()
            let head = "GET /events?topic=a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(token)\r\n\r\n"
            try channel.writeInbound(ByteBuffer(string: head))
            node.loop.run()
            channels.append(channel)
        }
        #expect(checks.count == 10)
        for channel in channels { _ = try? channel.finish(acceptAlreadyClosed: true) }
        node.loop.run()
        #expect(checks.count == 0)
        try node.stop()
    }
}
