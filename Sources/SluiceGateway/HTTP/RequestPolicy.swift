// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// Who may ask this node for something: for which hosts it answers, pages of which origins it serves, which proxies and
/// tokens it believes, and what whoever shows no token may do.
package final class RequestPolicy: Sendable {
    private let hosts: HostPolicy
    let origins: OriginPolicy
    let proxies: ForwardedFor
    /// nil in open mode.
    let tokens: TokenVerifier?
    package let tokenChecks: TokenChecks?
    /// What a request without a token may do.
    let anonymous: Grant
    let cookieName: String
    /// Topics of one stream.
    let topicsMax: Int

    package init(_ settings: Settings, proxies: ForwardedFor, tokens: TokenVerifier?, tokenChecks: TokenChecks?) {
        hosts = HostPolicy(hosts: settings.hosts)
        origins = OriginPolicy(origins: settings.origins, isOpen: tokens == nil)
        self.proxies = proxies
        self.tokens = tokens
        self.tokenChecks = tokenChecks
        anonymous = tokens == nil ? .everything : .anonymous(settings.anonymous)
        cookieName = settings.jwtCookie
        topicsMax = settings.topicsMax
    }

    /// - Throws: 403 if the node is not served under this name, or may not be used by the page that asks.
    func check(_ authority: Authority?, _ sender: Sender) throws(HTTPProblem) {
        guard hosts.permits(authority) else { throw .hostRefused }
        guard origins.verdict(on: sender) != .refused else { throw .originRefused }
    }

    /// What an answer tells the page that asked, also if it is an error.
    func corsHeaders(for sender: Sender) -> [(String, String)] {
        origins.headers(for: origins.verdict(on: sender))
    }
}
