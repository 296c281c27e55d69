// SPDX-License-Identifier: Apache-2.0

/// Events that are lost and can't be replayed.
package struct Gap: Equatable, Sendable {
    /// The last position that was certain; nil if it is not known.
    package var from: EventID?
    /// The newest id lost, or the mark if that is not known; nil for live-only events.
    package var to: EventID?
    package var targets: [Target]

    package init(from: EventID?, to: EventID?, targets: [Target]) {
        self.from = from
        self.to = to
        self.targets = targets
    }
}
