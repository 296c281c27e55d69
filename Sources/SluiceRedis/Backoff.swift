// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// How long to wait before the next attempt: doubles up to a limit, each time a random part of it,
/// so that the nodes of a cluster don't come back in step.
package struct Backoff: Sendable {
    private let first: TimeAmount
    private let last: TimeAmount
    private var step: TimeAmount

    package init(first: TimeAmount = .milliseconds(50), last: TimeAmount = .seconds(3)) {
        self.first = first
        self.last = last
        step = first
    }

    package mutating func next(using generator: inout some RandomNumberGenerator) -> TimeAmount {
        let wait = Int64.random(in: step.nanoseconds / 2...step.nanoseconds, using: &generator)
        step = min(TimeAmount.nanoseconds(step.nanoseconds * 2), last)
        return .nanoseconds(wait)
    }

    package mutating func reset() {
        step = first
    }
}
