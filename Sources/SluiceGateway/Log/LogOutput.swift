// SPDX-License-Identifier: Apache-2.0
import Glibc
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// Where the log goes, written by a thread of its own: standard error may be a pipe that nobody empties, and an event loop
/// that waits in `write(2)` serves nobody.
package final class LogOutput: Sendable {
    /// What waits for a reader at most. A kernel's pipe holds 64 KiB more.
    private static let queueBytesMax = 1 << 20
    private static let linesOfAKindMax = 10

    private struct State {
        var queue = LogQueue(bytesMax: LogOutput.queueBytesMax)
        var limit = LogLimit(linesMax: LogOutput.linesOfAKindMax)
        var isWriting = false
    }

    private let descriptor: CInt
    private let format: LogFormat
    private let counters: Counters
    private let state = Mutex(State())
    private let thread = NIOThreadPool(numberOfThreads: 1)

    package init(descriptor: CInt, format: LogFormat, counters: Counters) {
        self.descriptor = descriptor
        self.format = format
        self.counters = counters
        thread.start()
    }

    deinit {
        thread.shutdownGracefully { _ in }
    }

    /// - Returns: nil: there were too many lines with this message.
    package func admit(_ message: String, now: NIODeadline) -> LogLimit.Admission? {
        let admission = state.withLock { $0.limit.admit(message, now: now) }
        if admission == nil { counters.logLinesDropped[.limited].add(1) }
        return admission
    }

    /// Never waits for whoever reads the log.
    package func write(_ line: LogLine) {
        let text = line.text(format)
        let mustStart = state.withLock { state in
            guard state.queue.append(text) else {
                counters.logLinesDropped[.unread].add(1)
                return false
            }
            defer { state.isWriting = true }
            return !state.isWriting
        }
        if mustStart { thread.submit { [weak self] _ in self?.writeAll() } }
    }

    /// Waits until everything is written, but not for ever.
    package func finish(within time: Duration) async {
        let end = ContinuousClock.now + time
        while state.withLock({ $0.isWriting }), ContinuousClock.now < end {
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    /// On the thread, until nothing waits any more.
    private func writeAll() {
        while let (bytes, dropped) = state.withLock({ state in
            let lines = state.queue.take()
            state.isWriting = lines != nil
            return lines
        }) {
            write(bytes)
            guard dropped > 0 else { continue }
            let notice = LogLine(.warning, "lines were dropped, because nobody read the log", [("lines", "\(dropped)")])
            write(Array(notice.text(format).utf8))
        }
    }

    private func write(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count >= 0 {
                    rest = rest.dropFirst(count)
                } else if errno == EAGAIN {
                    // Somebody who shares the descriptor has made it non-blocking.
                    var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    _ = poll(&waiting, 1, 1000)
                } else if errno != EINTR {
                    // There is no reader any more.
                    return counters.logLinesDropped[.unread].add(rest.count { $0 == UInt8(ascii: "\n") })
                }
            }
        }
    }
}
