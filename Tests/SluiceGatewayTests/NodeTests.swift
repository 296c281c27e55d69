// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Tests of a whole node in a process of its own, one after the other: each is busy with several processes.
@Suite("A node", .serialized)
enum NodeTests {}

/// What carries the events; both must keep the same promises.
enum BrokerKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case memory
    case redis

    var testDescription: String { rawValue }
}

/// A node, and a Redis of its own where it is to have one.
struct TestNode {
    let node: NodeProcess
    let redis: RedisServer?

    static func start(_ broker: BrokerKind, _ arguments: [String] = []) async throws -> TestNode {
        let redis = broker == .redis ? try await RedisServer() : nil
        return TestNode(node: try await NodeProcess(redis: redis, arguments), redis: redis)
    }

    var port: Int { node.port }

    func stream(_ target: String, _ options: EventStreamClient.Options = .init()) async throws -> EventStreamClient {
        try await EventStreamClient.opened(port: node.port, target, options: options)
    }

    /// Publishes over HTTP.
    ///
    /// - Throws: if the answer is not 200.
    @discardableResult
    func publish(_ json: String) async throws -> HTTPAnswer {
        let answer = try await TestSupport.publish(node.port, json)
        guard answer.status == 200 else {
            throw RawSocket.Failure(description: "\(json.prefix(200)): \(answer.status) \(answer.text)")
        }
        return answer
    }
}

/// A JSON string.
func quoted(_ text: String) throws -> String {
    String(decoding: try JSONEncoder().encode(text), as: UTF8.self)
}
