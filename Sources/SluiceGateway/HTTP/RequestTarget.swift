// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// The path and query of a request's target (RFC 9112 §3.2): the origin form, or the absolute form, whose host ``Authority`` reads.
package struct RequestTarget: Equatable {
    package let path: String
    package let query: Substring

    package init(_ uri: String) throws(HTTPProblem) {
        // It is for the client alone (RFC 9110 §7.1); on where a path with one ends there are two opinions.
        guard !uri.utf8.contains(UInt8(ascii: "#")) else { throw .badRequest("the request's target has a fragment") }
        // By bytes: to Swift, a slash that a combining character follows is no slash.
        var rest = uri[...]
        if rest.utf8.first != UInt8(ascii: "/") {
            guard let scheme = ["http://", "https://"].first(where: { rest.lowercased().hasPrefix($0) }) else {
                if uri == "*" {
                    path = "*"
                    query = ""
                    return
                }
                throw .badRequest("the request's target must be a path")
            }
            rest = rest.dropFirst(scheme.count)
            rest =
                rest.utf8.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") }.map { rest[$0...] } ?? "/"
            if rest.utf8.first == UInt8(ascii: "?") { rest = "/" + rest }
        }
        let parts = rest.utf8.split(separator: UInt8(ascii: "?"), maxSplits: 1, omittingEmptySubsequences: false)
            .map { Substring($0) }
        guard let path = PercentEncoding.decode(parts[0], plusIsSpace: false) else {
            throw .badRequest("the path is not percent-encoded UTF-8")
        }
        self.path = path
        query = parts.count > 1 ? parts[1] : ""
    }
}
