// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOPosix

/// The streams of the process, used without a buffer: what was written has been seen, however we end.
enum StandardStream: CInt, Sendable {
    case input = 0
    case output = 1
    case error = 2

    /// Nobody reads any more, as when `head` has had enough; the other end's wish, not an error.
    struct Closed: Error {}

    /// Somebody looks at a screen.
    var isTerminal: Bool { isatty(rawValue) == 1 }

    /// Blocks until all of it is written.
    func write(_ text: String) throws(Closed) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(rawValue, $0.baseAddress, $0.count) }
            if count >= 0 { rest = rest.dropFirst(count) } else if !waits(POLLOUT) { throw Closed() }
        }
    }

    /// What there is, as soon as there is something; empty at the end. Blocks a thread that is there for it.
    func read() async throws -> [UInt8] {
        try await NIOThreadPool.singleton.runIfActive {
            var bytes = [UInt8](repeating: 0, count: 64 * 1024)
            while true {
                let count = Glibc.read(rawValue, &bytes, bytes.count)
                if count >= 0 { return Array(bytes[..<count]) }
                if !waits(POLLIN) { throw Failure("can't read standard input: \(String(cString: strerror(errno)))") }
            }
        }
    }

    /// After a call that failed: whether it is worth trying again. Somebody else may have made the terminal non-blocking.
    private func waits(_ event: CInt) -> Bool {
        guard errno == EAGAIN else { return errno == EINTR }
        var waiting = pollfd(fd: rawValue, events: Int16(event), revents: 0)
        _ = poll(&waiting, 1, 1000)
        return true
    }

    /// A remark for the person at the terminal; if nobody can read it, so be it.
    static func note(_ line: String) {
        try? StandardStream.error.write("sluice: \(line)\n")
    }
}
