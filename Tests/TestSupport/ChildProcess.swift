// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A real server for a test: started, waited for, and gone with its owner.
///
/// `@unchecked`: Foundation's `Process` is not Sendable; it is touched behind the lock only.
package final class ChildProcess: @unchecked Sendable {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    private let process = Process()
    private let lock = NSLock()
    /// Standard output and error together.
    package let logPath: String

    /// - Parameter environment: added to this process' own.
    package init(
        _ executable: String, _ arguments: [String], environment: [String: String] = [:], directory: String? = nil
    ) throws {
        logPath = NSTemporaryDirectory() + "sluice-test-\(UUID().uuidString).log"
        _ = FileManager.default.createFile(atPath: logPath, contents: nil)
        guard let log = FileHandle(forWritingAtPath: logPath) else { throw Failure(description: "no log file") }
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [executable] + arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
        if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
        process.standardOutput = log
        process.standardError = log
        process.standardInput = FileHandle.nullDevice
        try process.run()
    }

    deinit {
        if process.isRunning {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        try? FileManager.default.removeItem(atPath: logPath)
    }

    package var id: Int32 { lock.withLock { process.processIdentifier } }

    package var isRunning: Bool { lock.withLock { process.isRunning } }

    package var output: String { (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? "" }

    package func signal(_ signal: Int32) {
        kill(id, signal)
    }

    /// Waits for the end; nil if it has not come in time.
    package func exitCode(within seconds: Double = 20) async -> Int32? {
        guard await eventually(within: seconds, { !self.isRunning }) else { return nil }
        return lock.withLock { process.terminationStatus }
    }
}

/// Asks until the answer is yes. For the outside world, which has no clock of ours to advance.
package func eventually(within seconds: Double = 10, _ condition: () async throws -> Bool) async -> Bool {
    let end = ContinuousClock.now + .seconds(seconds)
    while ContinuousClock.now < end {
        if (try? await condition()) == true { return true }
        try? await Task.sleep(for: .milliseconds(20))
    }
    return false
}
