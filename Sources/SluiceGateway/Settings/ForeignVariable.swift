// SPDX-License-Identifier: Apache-2.0

/// Variables that begin with `SLUICE_` and yet are no settings of a node. Every other unknown one is taken for a misspelt
/// setting and stops the start.
package enum ForeignVariable {
    /// Of the other commands, of `deploy/compose.yaml` and of the build.
    private static let own: Set<String> = [
        "SLUICE_TOKEN", "SLUICE_NODE_PASSWORD", "SLUICE_PUBLISHER_PASSWORD", "SLUICE_FUZZ",
    ]

    package static func isKnown(_ name: String, value: String) -> Bool {
        // The tests and scripts talk to each other by SLUICE_TEST_….
        own.contains(name) || name.hasPrefix("SLUICE_TEST_") || isServiceLink(name, value: value)
    }

    /// Kubernetes gives every container some variables for each service of its namespace, so those of all services that
    /// are named `sluice` or `sluice-…` begin as settings do. A bare `…_PORT` counts only with an address as its value:
    /// `SLUICE_LISTEN_PORT=8080` is a mistake that somebody should hear of.
    private static func isServiceLink(_ name: String, value: String) -> Bool {
        if name.hasSuffix("_PORT"), ["tcp://", "udp://", "sctp://"].contains(where: { value.hasPrefix($0) }) {
            return true
        }
        return name.contains(/_SERVICE_(HOST|PORT)$/) || name.contains(/_SERVICE_PORT_[A-Z0-9_]+$/)
            || name.contains(/_PORT_[0-9]+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?$/)
    }
}
