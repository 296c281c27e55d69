// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// Errors of the network in the words that a person would use.
package enum NetworkError {
    /// What went wrong, in a few words without code names.
    package static func reason(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            if let failure = error.connectionErrors.last { return reason(failure.error) }
            return "the host name is not known"
        case let error as IOError:
            return String(cString: strerror(error.errnoCode)).lowercased()
        case NIOSSLError.handshakeFailed(let problem):
            // BoringSSL's own words begin with a file and a line number.
            return "\(problem)".contains("CERTIFICATE_VERIFY_FAILED")
                ? "the server's certificate is not trusted" : "no TLS connection: \(problem)"
        case NIOSSLError.noSuchFilesystemObject: return "there is no such file"
        case let error as NIOSSLExtraError: return "\(error.description)"
        case ChannelError.connectTimeout: return "no answer in time"
        case is ChannelError, HTTPParserError.invalidEOFState: return "the connection was closed"
        case is SocketAddressError: return "the host name is not known"
        default: return "\(error)"
        }
    }
}
