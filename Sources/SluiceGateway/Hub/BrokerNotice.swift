// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import SluiceRedis

/// What a broker tells the node, on the node's loop.
package enum BrokerNotice {
    /// A message as it came from a channel; the bytes are valid during the call only.
    case message(UnsafeRawBufferPointer, for: TargetNumber)
    /// An event of a broker that loses nothing; the same.
    case event(Envelope, data: UnsafeRawBufferPointer, for: TargetNumber)
    /// Everything that came at once was handed over, of whatever partition.
    case readComplete
    /// What is published to this target from now on arrives.
    case confirmed(Target)
    /// Nothing of this target arrives any more.
    case gone(Target)
    /// The feed of this partition works, and every target of it is confirmed.
    case up(Partition = .first)
    case down(Partition = .first)
    /// The feed brings something, or the broker says why it can't be asked to.
    case alive(Partition = .first)
    /// A reading of the clock that came through the feed: every earlier event has come before it.
    case clock(ClockReading, of: Partition = .first)
    /// What the broker's own clock says, in milliseconds since 1970.
    case serverTime(UInt64, asked: NIODeadline, of: Partition = .first)
    /// A message as it came from the control channel; the bytes are valid during the call only.
    case control(UnsafeRawBufferPointer)
    /// A message of a broker that needs no text for it.
    case ordered(ControlMessage)
    /// An answer as it came from this node's own channel; the same.
    case answer(UnsafeRawBufferPointer)
    case refused(RedisRefusal)
}
