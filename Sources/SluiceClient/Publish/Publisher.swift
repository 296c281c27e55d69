// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import SluiceCore
import SluiceRedis
import SluiceWeb

/// Publishes events through a node, or straight through the nodes' Redis.
///
///     let publisher = try Publisher("http://127.0.0.1:8080", token: token)
///     let receipt = try await publisher.publish(OutgoingEvent("hello", to: .topic("news")))
///
/// It connects when it has to, and again when the connection was lost; what failed is for the caller to try again
/// (``ClientError/kind`` says whether that helps).
public struct Publisher: Sendable {
    /// What became of an event that was published.
    public struct Receipt: Equatable, Sendable {
        /// nil for an event that is not logged.
        public let id: String?
        /// How many nodes heard it; 0: nobody is listening anywhere.
        public let nodes: Int
        /// How many replicas of Redis are known to have it; nil: the event did not ask.
        public let replicas: Int?

        init(_ receipt: SluiceCore.Receipt) {
            id = receipt.id?.description
            nodes = receipt.nodes
            replicas = receipt.replicas
        }
    }

    let route: any PublishRoute

    /// Through a node.
    ///
    /// - Parameters:
    ///   - url: `http://` or `https://`. An address without a path is a node's, which takes events at `/publish`.
    ///   - token: sent as a bearer token.
    ///   - certificateAuthority: a PEM file of certificates to trust; nil trusts what the system trusts.
    /// - Throws: ``ClientError`` for what is no address, and for certificates that can't be read.
    public init(_ url: String, token: String? = nil, certificateAuthority: String? = nil) throws(ClientError) {
        guard var address = WebAddress(url) else { throw ClientError("\"\(url)\" is no http:// address") }
        if address.hasNoPath { address.target = "/publish" }
        do {
            let dialer = try WebDialer(address, certificateAuthority: certificateAuthority)
            self.init(route: HTTPRoute(dialer, token: token, on: MultiThreadedEventLoopGroup.singleton.next()))
        } catch { throw ClientError(error.description) }
    }

    /// Through Redis, where the function `sluice_publish` is installed if it is missing.
    ///
    /// - Parameters:
    ///   - redis: `redis://[user:password@]host[:port][/db]`,
    ///     `redis+sentinel://[user:password@]host[:port][,host[:port]…]/MASTER[/db]`,
    ///     `redis+cluster://[user:password@]host[:port][,host[:port]…]`, or `rediss…` for TLS.
    ///   - prefix: of Redis' names, as the nodes have it.
    ///   - isPlain: a bare `PUBLISH`, whose bytes are the data: live only, without type and key.
    ///   - certificateAuthority: a PEM file of certificates to trust; nil trusts what the system trusts.
    ///   - certificate: and its `key`, PEM files, for a server that asks for one.
    ///   - sentinelUser: and its `sentinelPassword`, for Sentinels that ask for a login.
    /// - Throws: ``ClientError`` for what is no address or prefix, and for certificates that can't be used.
    public init(
        redis url: String, prefix: String = "sluice", isPlain: Bool = false, certificateAuthority: String? = nil,
        certificate: String? = nil, key: String? = nil, sentinelUser: String? = nil, sentinelPassword: String? = nil
    ) throws(ClientError) {
        if let problem = RedisNames.problem(prefix: prefix) { throw ClientError("the prefix \(problem)") }
        let address: RedisURL
        do { address = try RedisURL(url) } catch { throw ClientError("Redis' address \(error)") }
        try self.init(
            redis: address, prefix: prefix, isPlain: isPlain, certificateAuthority: certificateAuthority,
            certificate: certificate, key: key, sentinel: SentinelLogin(user: sentinelUser, password: sentinelPassword))
    }

    package init(
        redis url: RedisURL, prefix: String, isPlain: Bool, certificateAuthority: String?, certificate: String?,
        key: String?, sentinel login: SentinelLogin
    ) throws(ClientError) {
        let endpoint: RedisEndpoint
        do {
            endpoint = try RedisEndpoint(
                url: url, certificateAuthority: certificateAuthority, certificate: certificate, key: key,
                clientName: "sluice-publish")
        } catch { throw ClientError("can't read the certificates", error) }
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        if url.kind == .cluster {
            self.init(
                route: ClusterRoute(
                    seeds: url.hosts, endpoint: endpoint, prefix: prefix, isPlain: isPlain, on: loop))
            return
        }
        let locator = RedisLocator(url, endpoint, sentinel: login, on: loop)
        self.init(route: RedisRoute(locator, names: RedisNames(prefix: prefix), isPlain: isPlain, on: loop))
    }

    init(route: any PublishRoute) {
        self.route = route
    }

    /// Connects now instead of with the first event, so that what can't work is known early.
    public func connect() async throws(ClientError) {
        try await route.connect()
    }

    /// - Throws: ``ClientError``, also for what is no event.
    public func publish(_ event: OutgoingEvent) async throws(ClientError) -> Receipt {
        for result in await publish([event]) { return try result.get() }
        throw ClientError("there was no answer", .unknown)
    }

    /// Publishes in order, all at once on the wire.
    ///
    /// - Returns: of each what became of it. One that is refused does not hold up those behind it, except that what is no
    ///   event ends it: the rest is not sent.
    public func publish(_ events: [OutgoingEvent]) async -> [Result<Receipt, ClientError>] {
        var publications: [Publication] = []
        var problem: ClientError?
        for event in events where problem == nil {
            do { publications.append(try event.publication()) } catch { problem = ClientError("\(error)") }
        }
        let results = await route.publish(publications).map { $0.map { Receipt($0) } }
        guard let problem else { return results }
        let notSent = ClientError("not sent", .later(after: nil))
        return results + [.failure(problem)]
            + events.dropFirst(publications.count + 1).map { _ in .failure(notSent) }
    }

    /// Ends the connection. A publisher that is used again connects anew.
    public func close() async {
        await route.close()
    }
}
