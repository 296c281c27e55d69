// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// Which events are in the log: one in so many, and those whose publisher keeps a trace of them; but not so many that they
/// cost what they are to show.
package struct EventSampler {
    package static let perSecondMax = 100

    private let interval: Int
    private var sinceLast = 0
    private var budget: TokenBucket

    /// - Parameter interval: 0: none.
    package init(interval: Int, now: NIODeadline) {
        self.interval = interval
        budget = TokenBucket(rate: EventSampler.perSecondMax, now: now)
    }

    package var isOn: Bool { interval > 0 }

    package mutating func takes(_ envelope: borrowing Envelope, now: NIODeadline) -> Bool {
        sinceLast += 1
        let isDue = sinceLast >= interval
        if isDue { sinceLast = 0 }
        return (isDue || envelope.trace?.isSampled == true) && budget.take(now: now)
    }
}
