// SPDX-License-Identifier: Apache-2.0

/// Which hosts a request may be for. A page of a stranger whose name points to this node's address of a sudden (DNS
/// rebinding) is of the same origin to its browser; only the name in `Host` gives it away.
package struct HostPolicy: Sendable {
    private let hosts: [HostPattern]

    /// - Parameter hosts: an entry without a port stands for all ports; empty: every host is served.
    package init(hosts: [HostPattern]) {
        self.hosts = hosts
    }

    /// - Parameter authority: what ``Authority/of(uri:headers:version:)`` found.
    package func permits(_ authority: Authority?) -> Bool {
        if hosts.isEmpty { return true }
        guard let authority else { return false }
        return hosts.contains { pattern in
            pattern.matchesName(of: authority) && (pattern.port == nil || pattern.port == authority.port)
        }
    }
}
