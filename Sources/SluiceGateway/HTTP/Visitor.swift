// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1

/// Who makes a request, as far as the connection and the head say: from where, for which host, on behalf of which page.
package struct Visitor: Sendable {
    /// nil: a trusted proxy that does not say for whom it asks.
    package let address: NetworkAddress?
    package let authority: Authority?
    package let origin: OriginPolicy.Verdict

    /// - Throws: ``HTTPProblem`` if the head contradicts itself on the host.
    package init(head: HTTPRequestHead, peer: NetworkAddress?, node: Node) throws(HTTPProblem) {
        authority = try Authority.of(uri: head.uri, headers: head.headers, version: head.version)
        origin = node.origins.verdict(head.headers, host: authority)
        let client = peer.map { node.proxies.client(peer: $0, headers: head.headers) }
        address = client.flatMap { node.proxies.isTrusted($0) ? nil : $0 }
    }
}
