// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// The scripts under Browser/, which drive real browsers. SLUICE_TEST_PYTHON names a Python that has playwright and redis.
enum BrowserScript {
    /// What Browser/engines.py can start.
    enum Engine: String, CaseIterable, Sendable {
        case chromium
        case firefox
        case webkit
    }

    private static let python = ProcessInfo.processInfo.environment["SLUICE_TEST_PYTHON"]

    /// Without such a Python the tests are left out, but on a build server they fail.
    static let isPossible = python != nil || Repository.isContinuousIntegration
    static let missing: Comment = "SLUICE_TEST_PYTHON names no Python with playwright and redis"

    static func start(_ name: String, _ arguments: [String]) throws -> ChildProcess {
        let python = try #require(python, missing)
        return try ChildProcess(
            python, ["\(Repository.root)/Tests/ClusterTests/Browser/\(name).py"] + arguments)
    }

    /// A program of `deploy/examples`.
    static func example(_ name: String, _ arguments: [String]) throws -> ChildProcess {
        let python = try #require(python, missing)
        return try ChildProcess(python, ["\(Repository.root)/deploy/examples/\(name).py"] + arguments)
    }

    static func start(_ name: String, _ engine: Engine, _ arguments: [String] = []) throws -> ChildProcess {
        try start(name, [engine.rawValue] + arguments)
    }
}
