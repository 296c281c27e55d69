// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore
import NIOPosix

/// Standard input, read on a thread that may block.
struct StandardInput: Sendable {
    private static let readBytes = 64 * 1024

    /// What there is, as soon as there is something; empty at the end.
    func read() async throws -> [UInt8] {
        try await NIOThreadPool.singleton.runIfActive {
            var bytes = [UInt8](repeating: 0, count: StandardInput.readBytes)
            while true {
                let count = Glibc.read(STDIN_FILENO, &bytes, bytes.count)
                if count >= 0 { return Array(bytes[..<count]) }
                if errno == EAGAIN {
                    var waiting = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
                    _ = poll(&waiting, 1, -1)
                } else if errno != EINTR {
                    throw Failure("can't read standard input: \(String(cString: strerror(errno)))")
                }
            }
        }
    }
}
