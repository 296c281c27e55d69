// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// How much this node takes in of one target: the feed is one ordered flow, so what one target brings too much makes all
/// others wait.
///
/// The node does not listen to a target over its rate for a pause. The pause doubles, up to a minute, if the target is over
/// its rate again before it was heard for as long as it had been paused.
struct Hearing {
    private static let pauseMin = TimeAmount.seconds(5)
    private static let pauseMax = TimeAmount.minutes(1)

    private var bucket: TokenBucket
    private var pause = pauseMin
    /// When the last pause ends.
    private var pauseEnd = NIODeadline.uptimeNanoseconds(0)
    private(set) var isPaused = false

    /// - Parameter rate: bytes a second, and a second's worth at once.
    init(rate: Int, now: NIODeadline) {
        bucket = TokenBucket(rate: rate, now: now)
    }

    /// A message has come.
    ///
    /// - Returns: for how long not to listen; nil: go on.
    mutating func take(_ bytes: Int, now: NIODeadline) -> TimeAmount? {
        guard bucket.take(bytes, now: now) != nil else { return nil }
        let isAgain = now < pauseEnd + pause
        pause = isAgain ? min(.nanoseconds(pause.nanoseconds * 2), Hearing.pauseMax) : Hearing.pauseMin
        pauseEnd = now + pause
        isPaused = true
        return pause
    }

    /// What is published from now on arrives again.
    mutating func goOn() {
        isPaused = false
    }
}
