// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore

/// `HOST:PORT`; an IPv6 address in brackets.
package struct ListenAddress: Equatable, Sendable, CustomStringConvertible {
    /// `description` is the whole line.
    package struct Unresolved: Error, CustomStringConvertible {
        package let description: String
    }

    package var host: String
    package var port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    package init(_ address: SocketAddress) {
        self.init(host: address.ipAddress ?? "", port: address.port ?? 0)
    }

    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65535).contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty else { return nil }
        self.init(host: String(host), port: port)
    }

    /// `localhost`, or an address; any other name may lead anywhere, whatever it looks like.
    package var isLoopback: Bool { host == "localhost" || NetworkAddress(host)?.isLoopback == true }

    /// What the name stands for, each once. `localhost` is both loopback addresses, whatever a hosts file says of it
    /// (RFC 6761 §6.3).
    ///
    /// - Throws: ``Unresolved``.
    package func resolved() throws(Unresolved) -> [SocketAddress] {
        let numeric = host == "localhost" ? ["127.0.0.1", "::1"] : [host]
        let addresses = numeric.compactMap { try? SocketAddress(ipAddress: $0, port: port) }
        return addresses.isEmpty ? try lookedUp() : addresses
    }

    /// Asks the system's resolver, and waits for its answer.
    private func lookedUp() throws(Unresolved) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_flags = AI_PASSIVE
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var first: UnsafeMutablePointer<addrinfo>?
        let problem = getaddrinfo(host, String(port), &hints, &first)
        guard problem == 0 else {
            throw Unresolved(description: "can't listen on \(self): \(String(cString: gai_strerror(problem)))")
        }
        defer { freeaddrinfo(first) }
        var addresses: [SocketAddress] = []
        for entry in sequence(first: first, next: { $0?.pointee.ai_next }) {
            guard let entry, let raw = UnsafeRawPointer(entry.pointee.ai_addr) else { break }
            let address: SocketAddress
            switch entry.pointee.ai_family {
            case AF_INET: address = SocketAddress(raw.load(as: sockaddr_in.self))
            case AF_INET6: address = SocketAddress(raw.load(as: sockaddr_in6.self))
            default: continue
            }
            if !addresses.contains(address) { addresses.append(address) }
        }
        return addresses
    }

    package var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
