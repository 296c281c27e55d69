// SPDX-License-Identifier: Apache-2.0

/// How a client reaches a node. A stream must be the same over each.
package enum Transport: String, CaseIterable, Sendable {
    case http10
    case http11
    case tlsHTTP11
    case tlsHTTP2
    /// HTTP/2 in plaintext with prior knowledge, as load balancers speak it.
    case h2c

    package var isSecure: Bool { self == .tlsHTTP11 || self == .tlsHTTP2 }
    package var isHTTP2: Bool { self == .tlsHTTP2 || self == .h2c }

    /// In the request line.
    package var version: String { self == .http10 ? "1.0" : "1.1" }

    /// A connection, ready for the bytes of HTTP.
    ///
    /// - Parameter receiveBuffer: SO_RCVBUF.
    package func connect(port: Int, receiveBuffer: Int32? = nil) async throws -> any ByteSocket {
        guard isSecure else { return try await RawSocket(port: port, receiveBuffer: receiveBuffer) }
        let socket = try await SecureSocket(
            port: port, protocols: [isHTTP2 ? "h2" : "http/1.1"], receiveBuffer: receiveBuffer)
        guard socket.negotiated == (isHTTP2 ? "h2" : "http/1.1") else {
            throw RawSocket.Failure(description: "the node chose \(socket.negotiated ?? "no protocol")")
        }
        return socket
    }
}
