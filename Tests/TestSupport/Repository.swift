// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Where things are that the tests run.
package enum Repository {
    /// SLUICE_TEST_ROOT, or where this file was compiled.
    package static let root: String = {
        if let root = ProcessInfo.processInfo.environment["SLUICE_TEST_ROOT"] { return root }
        return URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
    }()

    /// SLUICE_TEST_BINARY, or the command beside the test bundle.
    package static let binary: String = {
        if let binary = ProcessInfo.processInfo.environment["SLUICE_TEST_BINARY"] { return binary }
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        let beside = URL(fileURLWithPath: own).deletingLastPathComponent().appendingPathComponent("sluice").path
        return FileManager.default.isExecutableFile(atPath: beside) ? beside : "\(root)/.build/debug/sluice"
    }()

    /// On a build server nothing may be left out.
    package static var isContinuousIntegration: Bool { ProcessInfo.processInfo.environment["CI"] != nil }

    /// A new directory; the owner removes it.
    package static func temporaryDirectory() throws -> String {
        let path = NSTemporaryDirectory() + "sluice-test-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }
}
