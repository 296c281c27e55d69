// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Synchronization

/// A real server for a test: started, waited for, and gone with its owner.
///
/// Not Foundation's `Process`: that one learns of an end by a socket whose other side every child that is started at
/// the same moment may inherit, so that its `waitUntilExit` now and then waits for the end of a stranger, and with as few
/// threads as there are cores the whole test run with it.
package final class ChildProcess: Sendable {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String

        package init(description: String) {
            self.description = description
        }
    }

    private enum State {
        case running
        case ended(Int32)
    }

    private let state = Mutex(State.running)
    package let id: pid_t
    /// Standard output and error together.
    package let logPath: String

    /// - Parameter environment: added to this process' own.
    package init(
        _ executable: String, _ arguments: [String], environment: [String: String] = [:], directory: String? = nil
    ) throws {
        logPath = NSTemporaryDirectory() + "sluice-test-\(UUID().uuidString).log"
        let variables = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
        id = try ChildProcess.spawn(
            (directory.map { ["env", "-C", $0] } ?? []) + [executable] + arguments,
            environment: variables.map { "\($0)=\($1)" }, output: logPath)
    }

    private typealias CloseFrom = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32

    /// glibc has it since 2.34, but shows it to C programs only.
    private static let addCloseFrom = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np").map {
        unsafeBitCast($0, to: CloseFrom.self)
    }

    /// With no descriptor but the standard three, and no signal blocked or ignored.
    private static func spawn(_ words: [String], environment: [String], output: String) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
        guard let addCloseFrom, addCloseFrom(&actions, STDERR_FILENO + 1) == 0 else {
            throw Failure(description: "descriptors can't be kept from a child")
        }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        var arguments = words.map { strdup($0) } + [nil]
        var variables = environment.map { strdup($0) } + [nil]
        defer { for text in arguments + variables { free(text) } }
        var id: pid_t = 0
        let problem = posix_spawnp(&id, words[0], &actions, &attributes, &arguments, &variables)
        guard problem == 0 else {
            throw Failure(description: "\(words[0]) can't be started: \(String(cString: strerror(problem)))")
        }
        return id
    }

    deinit {
        if isRunning {
            kill(id, SIGKILL)
            var status: Int32 = 0
            while waitpid(id, &status, 0) < 0, errno == EINTR {}
        }
        unlink(logPath)
    }

    package var isRunning: Bool {
        state.withLock { state in
            guard case .running = state else { return false }
            var status: Int32 = 0
            guard waitpid(id, &status, WNOHANG) == id else { return true }
            // The exit code, or the signal that ended it (wait(2)).
            state = .ended(status & 0x7F == 0 ? status >> 8 & 0xFF : status & 0x7F)
            return false
        }
    }

    package var output: String { (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? "" }

    package func signal(_ signal: Int32) {
        // Asked first, because the number of a process that was waited for may be another's by now.
        if isRunning { kill(id, signal) }
    }

    /// Waits for the end; nil if it has not come in time.
    package func exitCode(within seconds: Double = 20) async -> Int32? {
        guard await eventually(within: seconds, { !self.isRunning }) else { return nil }
        return state.withLock { if case .ended(let code) = $0 { code } else { nil } }
    }
}

/// Asks until the answer is yes. For the outside world, which has no clock of ours to advance.
package func eventually(within seconds: Double = 10, _ condition: () async throws -> Bool) async -> Bool {
    let end = ContinuousClock.now + .seconds(seconds * Sanitizer.slowness)
    while ContinuousClock.now < end {
        if (try? await condition()) == true { return true }
        try? await Task.sleep(for: .milliseconds(20))
    }
    // On a busy machine the time may be over before the second look.
    return (try? await condition()) == true
}
