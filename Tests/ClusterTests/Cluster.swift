// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Tests of several nodes behind a load balancer, one after the other: each is busy with many processes.
@Suite("A cluster", .serialized)
enum ClusterTests {}

/// Redis, three nodes and a load balancer, all real.
struct Cluster {
    let redis: RedisServer
    let nodes: [NodeProcess]
    let balancer: LoadBalancer

    static func start(_ kind: LoadBalancer.Kind, _ arguments: [String] = []) async throws -> Cluster {
        let redis = try await RedisServer()
        var nodes: [NodeProcess] = []
        for number in 1...3 {
            nodes.append(
                try await NodeProcess(
                    redis: redis,
                    ["--node-id", "node\(number)", "--threads", "1", "--trusted-proxy", "127.0.0.1"] + arguments))
        }
        let balancer = try await LoadBalancer(kind, nodePorts: nodes.map(\.port))
        // Until the load balancer's checks have seen them all, some would get no streams.
        let isBalanced = await eventually {
            var seen: Set<String> = []
            for _ in 0..<6 {
                guard let id = try await request(balancer.port, "GET", "/healthz")["Sluice-Node"] else { return false }
                seen.insert(id)
            }
            return seen.count > 1
        }
        #expect(isBalanced)
        return Cluster(redis: redis, nodes: nodes, balancer: balancer)
    }

    var port: Int { balancer.port }

    func stream(_ target: String, _ options: EventStreamClient.Options = .init()) async throws -> EventStreamClient {
        try await EventStreamClient.opened(port: balancer.port, target, options: options)
    }

    /// Publishes through the load balancer or one node.
    func publish(_ json: String, port: Int? = nil) async throws {
        let answer = try await TestSupport.publish(port ?? balancer.port, json)
        guard answer.status == 200 else {
            throw RawSocket.Failure(description: "\(json): \(answer.status) \(answer.text)")
        }
    }
}
