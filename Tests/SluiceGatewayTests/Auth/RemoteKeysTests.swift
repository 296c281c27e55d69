// SPDX-License-Identifier: Apache-2.0
import JWTKit
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import SluiceCore
import SluiceGateway
import SluiceWeb
import Synchronization
import TestSupport
import Testing

/// A verifier whose keys are at a URL, with the time in the test's hand.
@Suite("Keys at a URL", .timeLimit(.minutes(1)))
struct RemoteKeysTests {
    private final class Clock: Sendable {
        private let time = Mutex(NIODeadline.uptimeNanoseconds(1_000_000_000_000))

        var now: NIODeadline { time.withLock { $0 } }

        func advance(_ amount: TimeAmount) {
            time.withLock { $0 = $0 + amount }
        }
    }

    private let clock = Clock()
    private let first = ES256PrivateKey()
    private let second = ES256PrivateKey()

    private func verifier(port ports: Int...) async throws -> TokenVerifier {
        let clock = clock
        let sets = ports.flatMap { ["--jwks", "http://127.0.0.1:\($0)/keys?secret=1"] }
        let settings = try SettingsSource(arguments: ["--auth", "jwt"] + sets, environment: [:]) { _ in "" }.load()
        return try await TokenVerifier(
            settings, eventLoop: MultiThreadedEventLoopGroup.singleton.next(), wallClock: { 0 },
            clock: { clock.now }, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func token(_ key: ES256PrivateKey, kid: String?) async throws -> String {
        try await TokenMaker.token(key.pemRepresentation, kid: kid)
    }

    private func isTaken(_ token: String, by verifier: TokenVerifier) async -> Bool {
        (try? await verifier.checked(token)) != nil
    }

    @Test("As long as the keys were never fetched a token is not refused for good, nor where the set is empty")
    func missing() async throws {
        let server = KeySetServer(TokenMaker.set([]))
        let verifier = try await verifier(port: try await server.start())
        await verifier.start()
        let token = try await token(first, kid: "1")
        for _ in 0..<2 {
            let problem = await #expect(throws: HTTPProblem.self) { try await verifier.checked(token) }
            #expect(problem?.status == .serviceUnavailable && verifier.lacksKeys && verifier.hasNoKey)
        }
        server.serve(TokenMaker.set([TokenMaker.jwk(first, kid: "1")]))
        clock.advance(.seconds(10))
        #expect(await isTaken(token, by: verifier))
        #expect(!verifier.lacksKeys)
        // From now on others are nobody's, also when the set is emptied by mistake.
        server.serve(TokenMaker.set([]))
        clock.advance(.seconds(10))
        let unknown = try await self.token(second, kid: "2")
        #expect(await !isTaken(unknown, by: verifier))
        #expect(await isTaken(token, by: verifier))
    }

    @Test("Of two issuers one is away: the other's tokens are good, and the node may be ready")
    func oneOfTwo() async throws {
        let server = KeySetServer(TokenMaker.set([TokenMaker.jwk(first, kid: "1")]))
        let verifier = try await verifier(port: try await server.start(), freePort())
        await verifier.start()
        #expect(verifier.lacksKeys && !verifier.hasNoKey)
        #expect(await isTaken(try await token(first, kid: "1"), by: verifier))
        let other = try await token(second, kid: "2")
        let problem = await #expect(throws: HTTPProblem.self) { try await verifier.checked(other) }
        #expect(problem?.status == .serviceUnavailable)
    }

    @Test("A node without the keys of its tokens is not ready, and sheds streams instead of refusing them")
    func notReady() async throws {
        let server = KeySetServer(TokenMaker.set([]))
        let port = try await server.start()
        let node = try await NodeProcess(["--auth", "jwt", "--jwks", "http://127.0.0.1:\(port)/keys"])
        let token = try await TokenMaker.token(
            first.pemRepresentation, claims: #"{"sluice":{"subscribe":["a"],"publish":["a"]}}"#, kid: "1")
        let headers = [("Authorization", "Bearer \(token)")]
        let readiness = try await request(node.adminPort, "GET", "/readyz")
        #expect(readiness.status == 503 && readiness.text.contains("--jwks"))
        #expect(try await Knock(node.port, "/events?topic=a", headers: headers).fate == .shed)
        let body = Array(#"{"topic":"a","data":"x"}"#.utf8)
        #expect(
            try await Knock(node.port, "/publish", method: "POST", headers: headers, body: body).fate == .answered(503))
        server.serve(TokenMaker.set([TokenMaker.jwk(first, kid: "1")]))
        #expect(await eventually { try await request(node.adminPort, "GET", "/readyz").status == 200 })
        #expect(try await Knock(node.port, "/events?topic=a", headers: headers).fate == .stream)
        #expect(
            try await Knock(node.port, "/publish", method: "POST", headers: headers, body: body).fate == .answered(200))
    }

    @Test("A token with a key that is not known yet has it fetched: a rotation is not noticed")
    func rotation() async throws {
        let server = KeySetServer(TokenMaker.set([TokenMaker.jwk(first, kid: "1")]))
        let verifier = try await verifier(port: try await server.start())
        await verifier.start()
        #expect(server.requests == 1)
        let known = try await token(first, kid: "1")
        #expect(await isTaken(known, by: verifier))
        #expect(verifier.remembered(known) != nil)
        #expect(server.requests == 1)

        server.serve(TokenMaker.set([TokenMaker.jwk(first, kid: "1"), TokenMaker.jwk(second, kid: "2")]))
        clock.advance(.seconds(10))
        #expect(await isTaken(try await token(second, kid: "2"), by: verifier))
        #expect(await isTaken(known, by: verifier))
        #expect(verifier.remembered(known) != nil)
        #expect(server.requests == 2)

        server.serve(TokenMaker.set([TokenMaker.jwk(second, kid: "2")]))
        clock.advance(.seconds(10))
        #expect(!(await isTaken(try await token(first, kid: "3"), by: verifier)))
        #expect(verifier.remembered(known) == nil)
        #expect(!(await isTaken(known, by: verifier)), "a key that is gone")
        verifier.stop()
        await server.stop()
    }

    @Test("A storm of unknown keys makes one fetch, and one more ten seconds later")
    func storm() async throws {
        let server = KeySetServer(TokenMaker.set([TokenMaker.jwk(first, kid: "1")]))
        let verifier = try await verifier(port: try await server.start())
        await verifier.start()
        clock.advance(.seconds(10))
        server.serve(
            KeySetServer.Document(
                body: TokenMaker.set([TokenMaker.jwk(second, kid: "2")]), delay: .milliseconds(200)))
        let tokens = try await (0..<50).asyncMap { try await token(second, kid: $0.isMultiple(of: 2) ? "2" : "x\($0)") }
        let taken = await withTaskGroup(of: Bool.self) { group in
            for token in tokens { group.addTask { await isTaken(token, by: verifier) } }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(taken == 25, "all that waited have the new key")
        #expect(server.requests == 2)
        for number in 0..<20 { #expect(!(await isTaken(try await token(second, kid: "y\(number)"), by: verifier))) }
        #expect(server.requests == 2)
        clock.advance(.seconds(10))
        #expect(!(await isTaken(try await token(second, kid: "y"), by: verifier)))
        #expect(server.requests == 3)
        verifier.stop()
        await server.stop()
    }

    private func status(_ token: String, by verifier: TokenVerifier) async -> Int {
        do throws(HTTPProblem) {
            _ = try await verifier.checked(token)
            return 200
        } catch { return Int(error.status.code) }
    }

    @Test("A stranger's unknown key just before a rotation makes nobody's token wrong for good")
    func strangersKey() async throws {
        let server = KeySetServer(TokenMaker.set([TokenMaker.jwk(first, kid: "1")]))
        let verifier = try await verifier(port: try await server.start())
        await verifier.start()
        clock.advance(.seconds(10))
        let forged = try await token(second, kid: "x")
        #expect(await status(forged, by: verifier) == 401, "the keys of now are known, and it is of none")
        server.serve(TokenMaker.set([TokenMaker.jwk(first, kid: "1"), TokenMaker.jwk(second, kid: "2")]))
        let rotated = try await token(second, kid: "2")
        for _ in 0..<3 {
            clock.advance(.seconds(3))
            #expect(await status(rotated, by: verifier) == 503, "a passing fault: it may be good soon")
            #expect(await status(forged, by: verifier) == 503)
        }
        #expect(server.requests == 2, "strangers can't have the keys fetched all the time")
        clock.advance(.seconds(1))
        #expect(await status(rotated, by: verifier) == 200)
        #expect(server.requests == 3)
        clock.advance(.seconds(10))
        server.serve(KeySetServer.Document(status: .badGateway))
        #expect(await status(forged, by: verifier) == 503, "while the keys can't be fetched nobody knows")
        #expect(await status(rotated, by: verifier) == 200)
        verifier.stop()
        await server.stop()
    }

    @Test(
        "An EventSource whose key is not known yet is sent away with a time to come back, not with 401",
        .timeLimit(.minutes(1)))
    func streamOfUnknownKey() async throws {
        let server = KeySetServer(TokenMaker.set([TokenMaker.jwk(first, kid: "1")]))
        let port = try await server.start()
        let node = try await NodeProcess(["--auth", "jwt", "--jwks", "http://127.0.0.1:\(port)/keys"])
        // If it is looked up, nothing is found out.
        server.serve(KeySetServer.Document(status: .badGateway))
        let token = try await TokenMaker.token(
            second.pemRepresentation, claims: #"{"sluice":{"subscribe":["a"]}}"#, kid: "2")
        let headers = [("Authorization", "Bearer \(token)")]
        #expect(try await Knock(node.port, "/events?topic=a", headers: headers).fate == .shed)
        server.serve(TokenMaker.set([TokenMaker.jwk(second, kid: "2")]))
        #expect(
            await eventually(within: 20) {
                try await Knock(node.port, "/events?topic=a", headers: headers).fate == .stream
            })
        await server.stop()
    }

    @Test("Wrong signatures, and tokens that name no key, fetch nothing")
    func noFetch() async throws {
        let server = KeySetServer(TokenMaker.set([TokenMaker.jwk(first, kid: "1")]))
        let verifier = try await verifier(port: try await server.start())
        await verifier.start()
        clock.advance(.minutes(1))
        #expect(!(await isTaken(try await token(second, kid: "1"), by: verifier)))
        #expect(!(await isTaken(try await token(second, kid: nil), by: verifier)))
        #expect(await isTaken(try await token(first, kid: nil), by: verifier))
        #expect(server.requests == 1)
        verifier.stop()
        await server.stop()
    }

    @Test("A node starts while the URL is down, and gets the keys when it is back")
    func downAtStart() async throws {
        let port = freePort()
        let verifier = try await verifier(port: port)
        await verifier.start()
        let token = try await token(first, kid: "1")
        #expect(!(await isTaken(token, by: verifier)))
        let server = KeySetServer(TokenMaker.set([TokenMaker.jwk(first, kid: "1")]))
        _ = try await server.start(port: port)
        clock.advance(.minutes(1))
        #expect(await isTaken(token, by: verifier))
        verifier.stop()
        await server.stop()
    }

    struct Answer: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let document: KeySetServer.Document
    }

    private static let badAnswers = [
        Answer(testDescription: "an error", document: .init(status: .internalServerError, body: "{\"keys\":[]}")),
        Answer(testDescription: "a redirect", document: .init(status: .found, body: "{\"keys\":[]}")),
        Answer(testDescription: "another document", document: .init(body: "<html></html>")),
        Answer(
            testDescription: "too much", document: .init(body: String(repeating: " ", count: 1 << 20) + "{\"keys\":[]}")
        ),
        Answer(testDescription: "nothing in time", document: .init(body: "{\"keys\":[]}", delay: .seconds(20))),
    ]

    @Test("The known keys stay good while the URL gives something else", arguments: badAnswers)
    func keeps(_ answer: Answer) async throws {
        let server = KeySetServer(TokenMaker.set([TokenMaker.jwk(first, kid: "1")]))
        let verifier = try await verifier(port: try await server.start())
        await verifier.start()
        server.serve(answer.document)
        clock.advance(.seconds(10))
        let begin = ContinuousClock.now
        #expect(!(await isTaken(try await token(second, kid: "2"), by: verifier)))
        #expect(ContinuousClock.now - begin < .seconds(15), "nobody waits until it answers")
        #expect(server.requests == 2)
        #expect(await isTaken(try await token(first, kid: "1"), by: verifier))
        verifier.stop()
        await server.stop()
    }

    @Test("Secrets at a URL are nobody's keys")
    func secrets() async throws {
        let secret = Base64URL.encode(TokenMaker.secret.utf8)
        let server = KeySetServer(TokenMaker.set(["{\"kty\":\"oct\",\"k\":\"\(secret)\"}"]))
        let verifier = try await verifier(port: try await server.start())
        await verifier.start()
        #expect(!(await isTaken(try await TokenMaker.token(TokenMaker.secret), by: verifier)))
        verifier.stop()
        await server.stop()
    }

    @Test("Keys are fetched anew after ten minutes, and not before")
    func refresh() async throws {
        let server = KeySetServer(TokenMaker.set([TokenMaker.jwk(first, kid: "1")]))
        let address = try #require(WebAddress("http://127.0.0.1:\(try await server.start())/"))
        let clock = clock
        let keys = try RemoteKeys(
            address, eventLoop: MultiThreadedEventLoopGroup.singleton.next(), clock: { clock.now },
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        #expect(await keys.refreshIfDue() == .minutes(10))
        clock.advance(.milliseconds(599_000))
        #expect(await keys.refreshIfDue() == .seconds(1))
        #expect(server.requests == 1)
        clock.advance(.seconds(1))
        #expect(await keys.refreshIfDue() == .minutes(10))
        #expect(server.requests == 2)
        await server.stop()
    }
}

extension Sequence {
    fileprivate func asyncMap<T>(_ transform: (Element) async throws -> T) async rethrows -> [T] {
        var result: [T] = []
        for element in self { result.append(try await transform(element)) }
        return result
    }
}
