// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore
import NIOPosix

/// Standard output and error, unbuffered: what is printed is there when the next event comes.
enum Console {
    /// Nobody reads our output any more, as behind `| head`.
    struct OutputClosed: Error {}

    static func print(_ text: String) throws(OutputClosed) {
        guard put(text, on: STDOUT_FILENO) else { throw OutputClosed() }
    }

    /// One line on standard error.
    static func complain(_ line: String) {
        _ = put("sluice: \(line)\n", on: STDERR_FILENO)
    }

    /// Text on standard error that is no complaint.
    static func note(_ text: String) {
        _ = put(text, on: STDERR_FILENO)
    }

    private static func put(_ text: String, on descriptor: Int32) -> Bool {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            bytes = bytes.dropFirst(count)
        }
        return true
    }

    /// What went wrong, in words fit for a line: the system's own for what NIO wraps.
    static func reason(of error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            if let attempt = error.connectionErrors.first { return reason(of: attempt.error) }
            return "the host \(error.host) is not known"
        case let error as IOError: return String(cString: strerror(error.errnoCode))
        case ChannelError.connectTimeout: return "no answer in time"
        default: return "\(error)"
        }
    }
}
