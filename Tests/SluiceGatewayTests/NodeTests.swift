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

/// On what a promise about streams is kept: both brokers, and every transport.
struct Stage: Sendable, CustomTestStringConvertible {
    let broker: BrokerKind
    let transport: Transport

    static let all = [Stage(broker: .redis, transport: .http11)] + memory
    static let memory = Transport.allCases.map { Stage(broker: .memory, transport: $0) }
    static let redis = Transport.allCases.map { Stage(broker: .redis, transport: $0) }

    var testDescription: String { "\(broker.rawValue), \(transport.rawValue)" }
}

/// A node, and a Redis of its own where it is to have one.
struct TestNode {
    let node: NodeProcess
    let redis: RedisServer?
    /// How its clients and publishers reach it.
    let transport: Transport
    let certificate: TestCertificate?

    static func start(
        _ broker: BrokerKind, over transport: Transport = .http11, _ arguments: [String] = []
    ) async throws -> TestNode {
        let redis = broker == .redis ? try await RedisServer() : nil
        let certificate = transport.isSecure ? try await TestCertificate() : nil
        return TestNode(
            node: try await NodeProcess(redis: redis, arguments + (certificate?.settings ?? [])), redis: redis,
            transport: transport, certificate: certificate)
    }

    static func start(_ stage: Stage, _ arguments: [String] = []) async throws -> TestNode {
        try await start(stage.broker, over: stage.transport, arguments)
    }

    var port: Int { node.port }

    func stream(_ target: String, _ options: EventStreamClient.Options = .init()) async throws -> EventStreamClient {
        try await EventStreamClient.opened(port: node.port, target, options: over(options))
    }

    /// The options of a client that reaches this node.
    func over(_ options: EventStreamClient.Options = .init()) -> EventStreamClient.Options {
        var options = options
        if transport != .http11 { options.transport = transport }
        return options
    }

    /// One request over the node's transport.
    func request(
        _ method: String, _ target: String, headers: [String: String] = [:], body: [UInt8]? = nil
    ) async throws -> HTTPAnswer {
        try await TestSupport.request(port, method, target, headers: headers, body: body, over: transport)
    }

    /// Publishes over HTTP.
    ///
    /// - Throws: if the answer is not 200.
    @discardableResult
    func publish(_ json: String) async throws -> HTTPAnswer {
        let answer = try await TestSupport.publish(node.port, json, over: transport)
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
