// SPDX-License-Identifier: Apache-2.0

/// The path and query of a request's target (RFC 9112 §3.2): the origin form, or the absolute form, whose host ``Authority`` reads.
package struct RequestTarget: Equatable {
    /// As it came: who compares paths in front of the node, a load balancer's rule, compares these bytes.
    package let path: Substring
    package let query: Substring

    package init(_ uri: String) throws(HTTPProblem) {
        var rest = uri[...]
        if rest.utf8.first != UInt8(ascii: "/"), uri != "*" {
            guard let afterScheme = Authority.afterScheme(of: uri) else {
                throw .badRequest("the request's target must be a path")
            }
            // By bytes: to Swift, a slash that a combining character follows is no slash.
            let end = afterScheme.utf8.firstIndex { "/?#".utf8.contains($0) }
            rest = end.map { afterScheme[$0...] } ?? "/"
        }
        let end = rest.utf8.firstIndex { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") } ?? rest.endIndex
        let query = rest[end...].utf8
        // A fragment is for the client alone (RFC 9110 §7.1); on where a path with one ends there are two opinions.
        guard !query.contains(UInt8(ascii: "#")) else { throw .badRequest("the request's target has a fragment") }
        path = end == rest.startIndex ? "/" : rest[..<end]
        self.query = Substring(query.dropFirst())
    }
}
