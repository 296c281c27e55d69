// SPDX-License-Identifier: Apache-2.0
import Crypto
import FoundationEssentials
import Logging
import NIOCore
import SluiceCore
import Synchronization

/// Says what a token allows. No token is ever logged.
package final class TokenVerifier: Sendable {
    private let localKeys: [KeyRing.Entry]
    private let remoteKeys: [RemoteKeys]
    private let hasPublishKeys: Bool
    private let issuers: [String]
    private let audiences: [String]
    /// Milliseconds that clocks may differ by.
    private let leeway: Int64
    /// Milliseconds since 1970.
    private let wallClock: @Sendable () -> UInt64
    private let refreshing = Mutex<[Task<Void, Never>]>([])
    private let cache = Mutex(GrantCache())
    private let rings = Mutex<(generation: Int, ring: KeyRing?)>((0, nil))

    package struct Failure: Error, Equatable, CustomStringConvertible {
        package let description: String
    }

    /// Reads the keys' files; those at URLs come with ``start()``.
    ///
    /// - Parameter eventLoop: for the connections to URLs.
    /// - Throws: ``Failure``, one line that names the setting and the file.
    package init(
        _ settings: Settings, eventLoop: any EventLoop, wallClock: @escaping @Sendable () -> UInt64,
        clock: @escaping @Sendable () -> NIODeadline, logger: Logger
    ) async throws(Failure) {
        // Those of publishers first: a key that is among both keeps its rights.
        var local: [KeyRing.Entry] = []
        for file in settings.jwtPublishKeys {
            local.append(KeyRing.Entry(try await TokenVerifier.key("jwt-publish-key", file), mayPublish: true))
        }
        let others = local.isEmpty
        for file in settings.jwtKeys {
            local.append(KeyRing.Entry(try await TokenVerifier.key("jwt-key", file), mayPublish: others))
        }
        var remote: [RemoteKeys] = []
        for location in settings.jwks {
            switch location {
            case .file(let path):
                for key in try await TokenVerifier.keys(ofSet: path) {
                    local.append(KeyRing.Entry(key, mayPublish: others))
                }
            case .url(let address):
                do {
                    remote.append(try RemoteKeys(address, eventLoop: eventLoop, clock: clock, logger: logger))
                } catch { throw Failure(description: "--jwks: \(address): \(error)") }
            }
        }
        localKeys = local
        remoteKeys = remote
        hasPublishKeys = !others
        issuers = settings.jwtIssuers
        audiences = settings.jwtAudiences
        leeway = settings.jwtLeeway.nanoseconds / 1_000_000
        self.wallClock = wallClock
    }

    private static func key(_ setting: String, _ file: KeyFile) async throws(Failure) -> TokenKey {
        do {
            return try await TokenKey(name: file.name, content: FileContent.bytes(ofFile: file.path))
        } catch { throw Failure(description: "--\(setting): \(file.path) \(error)") }
    }

    private static func keys(ofSet path: String) async throws(Failure) -> [TokenKey] {
        let set: KeySet
        do {
            let content = try FileContent.bytes(ofFile: path)
            set = try await KeySet(String(decoding: content, as: UTF8.self), allowsSecrets: true)
        } catch { throw Failure(description: "--jwks: \(path) \(error)") }
        guard !set.keys.isEmpty else { throw Failure(description: "--jwks: \(path) has no key that can be used") }
        return set.keys
    }

    // MARK: Keys at URLs

    /// Fetches the keys that are at URLs, which takes 3 seconds at most, and from then on keeps them fresh. A URL that is
    /// down is tried again; until then its tokens can't be told from others, and the node is not ready.
    package func start() async {
        await withTaskGroup { group in
            for keys in remoteKeys { group.addTask { _ = await keys.refreshIfDue() } }
        }
        let tasks = remoteKeys.map { keys in
            Task {
                while !Task.isCancelled {
                    let wait = await keys.refreshIfDue()
                    try? await Task.sleep(nanoseconds: UInt64(wait.nanoseconds))
                }
            }
        }
        refreshing.withLock { $0 += tasks }
    }

    package func stop() {
        refreshing.withLock { tasks in
            for task in tasks { task.cancel() }
            tasks = []
        }
    }

    /// Made anew only when keys were fetched.
    private var ring: KeyRing {
        let generation = generation
        return rings.withLock { known in
            if let ring = known.ring, known.generation == generation { return ring }
            let ring = KeyRing(
                localKeys + remoteKeys.flatMap(\.keys).map { KeyRing.Entry($0, mayPublish: !hasPublishKeys) })
            known = (generation, ring)
            return ring
        }
    }

    /// A set was never fetched: a token that no known key has signed may still be right.
    package var lacksKeys: Bool { remoteKeys.contains { $0.generation == 0 } }

    /// Nobody's token can be told from others. Where one issuer of several is away, the others' clients can be served.
    package var hasNoKey: Bool { localKeys.isEmpty && remoteKeys.allSatisfy { $0.generation == 0 } }

    /// Has the keys fetched that a token with an unknown one may be signed with.
    ///
    /// - Returns: whether all keys of now are known: a token that still names an unknown one is nobody's.
    package func lookUpKeys() async -> Bool {
        await withTaskGroup { group in
            for keys in remoteKeys { group.addTask { await keys.refreshForUnknownKey() } }
            return await group.reduce(true) { $0 && $1 }
        }
    }

    // MARK: Tokens

    private var generation: Int { remoteKeys.reduce(0) { $0 + $1.generation } }

    /// What a token allows that was verified before; nil: it has to be verified, perhaps again.
    package func remembered(_ token: String) -> Grant? {
        let hash = TokenVerifier.hash(token)
        let grant = cache.withLock { [generation] in $0.grant(of: hash, generation: generation) }
        if let expiry = grant?.expiry, isOver(expiry) { return nil }
        return grant
    }

    /// Refuses what can be refused without a look at the signature, which is dear.
    ///
    /// - Throws: ``TokenRefusal``; ``TokenRefusal/keyUnknown`` if a look-up (``lookUpKeys()``) may bring the token's key.
    package func examine(_ text: String) throws(TokenRefusal) -> SignedToken {
        let token = try SignedToken(text)
        let ring = ring
        guard ring.fits(token) else { throw refusal(of: token, ring) }
        // It tells nobody anything new, and there are many of them: pages that slept for a night.
        if let claims = try? TokenClaims(token.claims), let expiry = claims.expiry, isOver(expiry) { throw .expired }
        return token
    }

    /// Of a token that no known key has signed.
    private func refusal(of token: SignedToken, _ ring: KeyRing) -> TokenRefusal {
        if lacksKeys { return .keyUnknown }
        guard let name = token.keyName, !remoteKeys.isEmpty, !ring.hasKey(named: name) else { return .notValidHere }
        return .keyUnknown
    }

    /// What a token allows. Takes up to a millisecond for each key that may have signed it, and so is for no event loop.
    package func verify(_ text: String) throws(TokenRefusal) -> Grant {
        if let grant = remembered(text) { return grant }
        // Of before the look at the keys.
        let generation = generation
        let grant = try grant(of: examine(text))
        let hash = TokenVerifier.hash(text)
        cache.withLock { $0.insert(grant, of: hash, generation: generation) }
        return grant
    }

    private static func hash(_ token: String) -> SHA256Digest {
        SHA256.hash(data: Array(token.utf8))
    }

    private func isOver(_ expiry: Int64) -> Bool {
        expiry + leeway <= Int64(clamping: wallClock())
    }

    /// The signature first: of a token that is nobody's nothing is told but that it has expired.
    private func grant(of token: SignedToken) throws(TokenRefusal) -> Grant {
        let ring = ring
        guard let signer = ring.signer(of: token) else { throw refusal(of: token, ring) }
        let claims = try TokenClaims(token.claims)
        guard issuers.isEmpty || claims.issuer.map(issuers.contains) == true,
            audiences.isEmpty || claims.audiences.contains(where: audiences.contains)
        else { throw .notValidHere }
        if let expiry = claims.expiry, isOver(expiry) { throw .expired }
        if let notBefore = claims.notBefore, notBefore - leeway > Int64(clamping: wallClock()) { throw .notYetValid }
        return Grant(
            client: claims.subject, subscribe: claims.subscribe, publish: signer.mayPublish ? claims.publish : [],
            isAdmin: signer.mayPublish && claims.isAdmin, expiry: claims.expiry, id: TokenVerifier.id(of: token))
    }

    /// Of the signed text, not of the whole token: some signatures can be changed by anybody and stay valid, which would
    /// make many ids of one token.
    private static func id(of token: SignedToken) -> String {
        SHA256.hash(data: token.signedText).prefix(12).reduce(into: "") { text, byte in
            text += String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
        }
    }
}
