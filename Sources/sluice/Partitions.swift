// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import NIOCore
import NIOPosix
import SluiceCore
import SluiceRedis

/// `sluice partitions`: where each partition of a cluster is.
struct Partitions: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show which server of a Redis Cluster has which partition.",
        usage: "sluice partitions [--redis URL] [OPTION]...",
        discussion: Help.text(PackageResources.partitions_txt))

    private static let answerTime = TimeAmount.seconds(2)

    @Option(
        help: .of(
            "URL",
            "Servers of the cluster: redis+cluster://[user:password@]host[:port],…; rediss… for TLS. (default: $SLUICE_REDIS)"
        ))
    var redis: RedisURL?
    @Option(help: .of("FILE", "Certificates (PEM) to trust for rediss+cluster://.")) var ca: String?
    @Option(help: .of("FILE", "A certificate (PEM) for rediss+cluster:// servers that ask for one."))
    var redisCert: String?
    @Option(help: .of("FILE", "That certificate's private key (PEM).")) var redisKey: String?

    func validate() throws {
        let url = try url()
        try refuse(
            url.kind != .cluster,
            "only a cluster has partitions: --redis takes redis+cluster:// or rediss+cluster:// here")
        try refuse((redisCert == nil) != (redisKey == nil), "--redis-cert and --redis-key go together")
        try refuse(
            redisCert != nil && !url.usesTLS, "--redis-cert is for a --redis that begins with rediss+cluster://")
    }

    private func url() throws -> RedisURL {
        if let redis { return redis }
        guard let text = Environment.redis else { throw ValidationError("give --redis, or set SLUICE_REDIS") }
        do { return try RedisURL(text) } catch { throw ValidationError("SLUICE_REDIS \(error)") }
    }

    func run() async throws {
        let map = try await map()
        for partition in Partitioning.cluster.partitions {
            let owner = map.owners[partition.index]?.description ?? "-"
            try StandardStream.output.write("\(partition) \(RedisNames.tag(partition)) \(owner)\n")
        }
        if map.owners.contains(nil) { throw Failure("some partitions have no master") }
    }

    private func map() async throws -> ClusterMap {
        let url = try url()
        let endpoint = try RedisEndpoint(
            url: url, certificateAuthority: ca, certificate: redisCert, key: redisKey, clientName: "sluice-partitions")
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        do {
            return try await loop.flatSubmit {
                ClusterMap.newest(seenBy: url.hosts, endpoint, timeout: Partitions.answerTime, on: loop)
            }.get()
        } catch { throw Failure("no server says who has which partition; \(error)") }
    }
}
