// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// How long to wait before the next try, and when to give up. No clock of its own: the time is an argument.
package struct PublishPatience: Sendable {
    private static let firstPause = TimeAmount.milliseconds(100)
    private static let pauseMax = TimeAmount.seconds(2)

    /// From the first try that failed, while nothing is published. Zero: no second try.
    package let limit: TimeAmount
    private var since: NIODeadline?
    private var pause = PublishPatience.firstPause

    package init(limit: TimeAmount) {
        self.limit = limit
    }

    /// Something was published.
    mutating func progressed() {
        since = nil
        pause = PublishPatience.firstPause
    }

    /// A try has failed.
    ///
    /// - Parameter told: what the server asks for.
    /// - Returns: how long to wait; nil: it is enough.
    mutating func failed(told: TimeAmount?, now: NIODeadline) -> TimeAmount? {
        let since = since ?? now
        self.since = since
        let wait = told ?? pause
        pause = min(pause + pause, PublishPatience.pauseMax)
        return limit > .zero && now + wait <= since + limit ? wait : nil
    }
}
