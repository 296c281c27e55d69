// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// The path and query of a request's target (RFC 9112 §3.2): the origin form, or the absolute form, whose host ``Authority`` reads.
package struct RequestTarget: Equatable {
    package let path: String
    package let query: Substring

    package init(_ uri: String) throws(HTTPProblem) {
        var rest = uri[...]
        if !rest.hasPrefix("/") {
            guard let scheme = ["http://", "https://"].first(where: { rest.lowercased().hasPrefix($0) }) else {
                if uri == "*" {
                    path = "*"
                    query = ""
                    return
                }
                throw .badRequest("the request's target must be a path")
            }
            rest = rest.dropFirst(scheme.count)
            rest = rest.firstIndex(where: { $0 == "/" || $0 == "?" }).map { rest[$0...] } ?? "/"
            if rest.hasPrefix("?") { rest = "/" + rest }
        }
        let parts = rest.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let path = PercentEncoding.decode(parts[0], plusIsSpace: false) else {
            throw .badRequest("the path is not percent-encoded UTF-8")
        }
        self.path = path
        query = parts.count > 1 ? parts[1] : ""
    }
}
