// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// What is on its way through the feed, in order.
enum ModelMessage {
    case event(Target, ByteBuffer)
    case confirmed(Target)
    case unsubscribed(Target)
    case tick(EventID, born: UInt64)
}

/// A command that Redis has been sent.
enum ModelAsk {
    case markers(MarkerRead)
    case log(FeedRead)
    case report(HeardReport)
    /// A stream asks where it begins.
    case start(ModelTarget, stream: Int)
}

enum ModelAnswer {
    case reading(ClockReading)
    case log(Replay.Outcome)
    case taken
    case failed
}
