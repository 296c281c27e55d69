// SPDX-License-Identifier: Apache-2.0

/// A connection to a node, in plaintext or under TLS, that reads only when it is asked.
package protocol ByteSocket: AnyObject, Sendable {
    /// What is there now.
    func read() -> RawSocket.Read
    func send(_ bytes: [UInt8]) async throws
    func close()
}

extension ByteSocket {
    package func send(_ text: String) async throws {
        try await send(Array(text.utf8))
    }

    /// Waits for bytes.
    ///
    /// - Returns: nil once the peer has ended the connection.
    /// - Throws: if nothing comes in time.
    package func receive(within seconds: Double = 20) async throws -> [UInt8]? {
        let end = ContinuousClock.now + .seconds(seconds)
        while true {
            switch read() {
            case .bytes(let bytes): return bytes
            case .end, .broken: return nil
            case .nothing:
                guard ContinuousClock.now < end else {
                    throw RawSocket.Failure(description: "nothing came in \(seconds) s")
                }
                try await Task.sleep(for: .milliseconds(1))
            }
        }
    }

    /// Everything up to the end of the connection.
    package func receiveAll(within seconds: Double = 20) async throws -> [UInt8] {
        var all: [UInt8] = []
        while let bytes = try await receive(within: seconds) { all += bytes }
        return all
    }
}
