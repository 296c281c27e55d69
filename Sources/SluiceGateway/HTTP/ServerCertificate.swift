// SPDX-License-Identifier: Apache-2.0
import Glibc
import Logging
import NIOCore
import NIOSSL
import Synchronization

/// The certificate with which the node meets TLS clients, and its key: read from files, and again when they change.
///
/// A connection keeps what it began with, so a renewal drops no stream.
package final class ServerCertificate: Sendable {
    package struct Unusable: Error, CustomStringConvertible {
        package let description: String
    }

    private struct State {
        var context: NIOSSLContext
        var stamp: [Stamp]
    }

    /// What changes when a file is written or replaced.
    private struct Stamp: Equatable {
        let inode: UInt
        let size: Int
        let seconds: Int
        let nanoseconds: Int

        init(_ path: String) {
            var status = stat()
            stat(path, &status)
            inode = status.st_ino
            size = status.st_size
            seconds = status.st_mtim.tv_sec
            nanoseconds = status.st_mtim.tv_nsec
        }
    }

    private let certificateFile: String
    private let keyFile: String
    private let state: Mutex<State>

    /// - Parameters: PEM files; the certificate's with all that lead to a root (RFC 8446 §4.4.2).
    /// - Throws: ``Unusable``, which names the setting at fault.
    package init(certificateFile: String, keyFile: String) throws {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        state = Mutex(
            State(
                context: try ServerCertificate.load(certificateFile, keyFile),
                stamp: [Stamp(certificateFile), Stamp(keyFile)]))
    }

    /// For the next connection.
    package var context: NIOSSLContext { state.withLock { $0.context } }

    /// Reads the files if they are not what they were. What can't be used changes nothing: it may be half written.
    ///
    /// - Returns: whether there is a new certificate.
    /// - Throws: ``Unusable``.
    @discardableResult
    package func reload() throws -> Bool {
        let stamp = [Stamp(certificateFile), Stamp(keyFile)]
        guard state.withLock({ $0.stamp != stamp }) else { return false }
        let context = try ServerCertificate.load(certificateFile, keyFile)
        state.withLock { $0 = State(context: context, stamp: stamp) }
        return true
    }

    private static func load(_ certificateFile: String, _ keyFile: String) throws -> NIOSSLContext {
        let certificates: [NIOSSLCertificate]
        let key: NIOSSLPrivateKey
        do { certificates = try NIOSSLCertificate.fromPEMFile(certificateFile) } catch {
            throw Unusable(description: "--tls-cert: \(certificateFile) has no certificate that can be read (PEM)")
        }
        do { key = try NIOSSLPrivateKey(file: keyFile, format: .pem) } catch {
            throw Unusable(description: "--tls-key: \(keyFile) has no private key that can be read (PEM)")
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: certificates.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["h2", "http/1.1"]
        do { return try NIOSSLContext(configuration: configuration) } catch {
            throw Unusable(
                description:
                    "--tls-key: \(keyFile) does not belong to the certificate in \(certificateFile), or \(error)")
        }
    }
}
