// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1

/// A browser's question whether a page may send a request (Fetch §4.8), which is an OPTIONS; any other is harmless.
///
/// Who may ask at all has been decided: an origin that is allowed may send what it likes, as a page's tracing adds header
/// fields that nobody here has heard of. What the node does not understand it ignores, or refuses in words that the page
/// can read.
package enum Preflight {
    /// More fields than any page sends.
    private static let listBytesMax = 2048
    private static let usualFields = "last-event-id, authorization, content-type, cache-control"

    /// - Parameter methods: those of the route.
    package static func answer(to head: HTTPRequestHead, methods: [HTTPMethod]) -> Answer {
        let allowed = methods.map(\.rawValue).joined(separator: ", ")
        let method = asked("access-control-request-method", of: head).map { method in
            methods.contains { $0.rawValue == method } ? allowed : "\(allowed), \(method)"
        }
        var answer = Answer(status: .noContent)
        answer.headers = [
            ("Allow", allowed), ("Access-Control-Allow-Methods", method ?? allowed),
            ("Access-Control-Allow-Headers", asked("access-control-request-headers", of: head) ?? usualFields),
            ("Access-Control-Max-Age", "86400"),
        ]
        return answer
    }

    /// A list of tokens (RFC 9110 §5.6.2), which goes out as it came; nil: there is none.
    private static func asked(_ name: String, of head: HTTPRequestHead) -> String? {
        let lines = head.headers[name]
        guard lines.count == 1, let line = lines.first, (1...listBytesMax).contains(line.utf8.count) else {
            return nil
        }
        let isList = line.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "!#$%&'*+-.^_`|~, ".utf8.contains(byte)
            }
        }
        return isList ? line : nil
    }
}
