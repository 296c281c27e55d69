// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

/// A TCP connection to a port of this machine that sends exactly the bytes it is given.
///
/// Never blocks a thread: tests wait for several connections at once on few cores.
package final class RawSocket: ByteSocket {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String

        package init(description: String) {
            self.description = description
        }
    }

    private let descriptor: Mutex<Int32?>

    /// - Parameter receiveBuffer: SO_RCVBUF, for a client that takes little.
    package init(port: Int, receiveBuffer: Int32? = nil) async throws {
        let descriptor = socket(
            AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(description: "socket: \(RawSocket.problem)") }
        self.descriptor = Mutex(descriptor)
        if var receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
        }
        var noDelay: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &noDelay, socklen_t(MemoryLayout<Int32>.size))
        try await RawSocket.connect(descriptor, port: port)
    }

    deinit {
        close()
    }

    private static var problem: String { String(cString: strerror(errno)) }

    private static func connect(_ descriptor: Int32, port: Int) async throws {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Foundation.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if result == 0 { return }
        guard errno == EINPROGRESS else { throw Failure(description: "connect: \(problem)") }
        let end = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < end {
            var poller = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            if poll(&poller, 1, 0) > 0 {
                var error: Int32 = 0
                var length = socklen_t(MemoryLayout<Int32>.size)
                getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length)
                if error == 0 { return }
                throw Failure(description: "connect: \(String(cString: strerror(error)))")
            }
            try await Task.sleep(for: .milliseconds(1))
        }
        throw Failure(description: "connect: no answer")
    }

    package func close() {
        descriptor.withLock { descriptor in
            if let open = descriptor { Foundation.close(open) }
            descriptor = nil
        }
    }

    /// Ends the connection with a reset instead of a goodbye.
    package func reset() {
        descriptor.withLock { descriptor in
            guard let open = descriptor else { return }
            var hard = linger(l_onoff: 1, l_linger: 0)
            setsockopt(open, SOL_SOCKET, SO_LINGER, &hard, socklen_t(MemoryLayout<linger>.size))
            Foundation.close(open)
            descriptor = nil
        }
    }

    /// Says that nothing more will be sent.
    package func finishSending() {
        descriptor.withLock { if let open = $0 { _ = shutdown(open, Int32(SHUT_WR)) } }
    }

    package func send(_ bytes: [UInt8]) async throws {
        try await send(bytes, within: 20)
    }

    package func send(_ bytes: [UInt8], within seconds: Double) async throws {
        var sent = 0
        let end = ContinuousClock.now + .seconds(seconds)
        while sent < bytes.count {
            let (count, code) = descriptor.withLock { descriptor -> (Int, Int32) in
                guard let open = descriptor else { return (-1, EBADF) }
                let count = bytes[sent...].withUnsafeBytes {
                    Foundation.send(open, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                return (count, errno)
            }
            if count >= 0 {
                sent += count
            } else if code == EAGAIN || code == EINTR {
                guard ContinuousClock.now < end else { throw Failure(description: "the peer takes nothing") }
                try await Task.sleep(for: .milliseconds(1))
            } else {
                throw Failure(description: "send: \(String(cString: strerror(code)))")
            }
        }
    }

    package enum Read {
        case bytes([UInt8])
        /// A goodbye.
        case end
        /// A reset, or this side has closed.
        case broken
        case nothing
    }

    package func read() -> Read {
        read(max: 65536)
    }

    package func read(max: Int) -> Read {
        descriptor.withLock { descriptor in
            guard let open = descriptor else { return .broken }
            var code: Int32 = 0
            var count = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: max) { buffer, initialized in
                count = recv(open, buffer.baseAddress, max, 0)
                code = errno
                initialized = Swift.max(0, count)
            }
            if count > 0 { return .bytes(bytes) }
            if count == 0 { return .end }
            return code == EAGAIN || code == EINTR ? .nothing : .broken
        }
    }
}
