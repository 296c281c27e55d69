// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1

/// Whether everybody on the way finds the end of an HTTP/1 request in the same place (RFC 9112 §6).
///
/// NIO's parser refuses most of what proxies have been fooled with; here is what it lets pass.
package enum MessageFraming {
    /// - Returns: nil if there is no doubt.
    package static func problem(_ head: HTTPRequestHead) -> HTTPProblem? {
        guard head.headers.contains(name: "transfer-encoding") else { return nil }
        // A proxy that speaks HTTP/1.0 does not know the field and forwards it (RFC 9112 §6.1).
        guard head.version == .http1_1 else { return .badRequest("Transfer-Encoding is not for HTTP/1.0") }
        let codings = head.headers[canonicalForm: "transfer-encoding"].map { $0.lowercased() }
        guard codings != ["chunked"] else { return nil }
        guard codings.last == "chunked" else { return .badRequest("the last transfer coding must be chunked") }
        return HTTPProblem(
            status: .notImplemented, code: "not_implemented", message: "of the transfer codings chunked is taken")
    }
}
