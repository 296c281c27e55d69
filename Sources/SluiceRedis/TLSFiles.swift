// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOSSL
import Synchronization

/// A TLS context that is made of files, and made anew when they change.
///
/// A connection keeps what it began with, so a renewal ends none.
package final class TLSFiles: Sendable {
    /// `description` is a whole line that names the setting at fault.
    package struct Unusable: Error, CustomStringConvertible {
        package let description: String

        package init(description: String) {
            self.description = description
        }
    }

    private struct State {
        var context: NIOSSLContext
        var stamps: [Stamp]
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

    private let files: [String]
    private let load: @Sendable () throws -> NIOSSLContext
    private let state: Mutex<State>

    /// - Parameters:
    ///   - files: those that `load` reads.
    ///   - load: makes a context of what the files hold now.
    /// - Throws: what `load` throws.
    package init(_ files: [String], load: @escaping @Sendable () throws -> NIOSSLContext) throws {
        self.files = files
        self.load = load
        // The stamps first: what is written while the files are read is a change.
        let stamps = files.map { Stamp($0) }
        state = Mutex(State(context: try load(), stamps: stamps))
    }

    /// For the next connection.
    package var context: NIOSSLContext { state.withLock { $0.context } }

    /// Reads the files if they are not what they were. What can't be used changes nothing: it may be half written.
    ///
    /// - Returns: whether there is a new context.
    /// - Throws: what `load` throws.
    @discardableResult
    package func reload() throws -> Bool {
        let stamps = files.map { Stamp($0) }
        guard state.withLock({ $0.stamps != stamps }) else { return false }
        let context = try load()
        state.withLock { $0 = State(context: context, stamps: stamps) }
        return true
    }

    /// The certificates of a PEM file that a setting names.
    package static func certificates(_ file: String, of setting: String) throws -> [NIOSSLCertificateSource] {
        do { return try NIOSSLCertificate.fromPEMFile(file).map { .certificate($0) } } catch {
            throw Unusable(description: "\(setting): \(file) has no certificate that can be read (PEM)")
        }
    }

    /// The private key of a PEM file that a setting names.
    package static func key(_ file: String, of setting: String) throws -> NIOSSLPrivateKeySource {
        do { return .privateKey(try NIOSSLPrivateKey(file: file, format: .pem)) } catch {
            throw Unusable(description: "\(setting): \(file) has no private key that can be read (PEM)")
        }
    }
}
