// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Standard output or standard error, written without a buffer: what was written has been seen, however we end.
enum StandardStream: Sendable {
    case output
    case error

    private var descriptor: CInt {
        switch self {
        case .output: STDOUT_FILENO
        case .error: STDERR_FILENO
        }
    }

    /// Somebody looks at a screen.
    var isTerminal: Bool { isatty(descriptor) == 1 }

    /// Nobody reads any more, as when `head` has had enough; the other end's wish, not an error.
    struct Closed: Error {}

    /// Blocks until all of it is written.
    func write(_ text: String) throws(Closed) {
        var text = text
        let isWhole = text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
                if count >= 0 {
                    rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
                } else if errno == EAGAIN {
                    // Somebody else made the terminal non-blocking.
                    var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    _ = poll(&waiting, 1, 1000)
                } else if errno != EINTR {
                    return false
                }
            }
            return true
        }
        if !isWhole { throw Closed() }
    }

    /// A remark for the person at the terminal; if nobody can read it, so be it.
    static func note(_ line: String) {
        try? StandardStream.error.write("sluice: \(line)\n")
    }
}
