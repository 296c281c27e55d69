// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// What is being read from the logs for one stream, and where it goes on in the ring afterwards.
///
/// A class, because few streams have one at a time and each stream would carry its size.
package final class StreamReplay {
    package var replay: Replay
    /// The logs are read up to here …
    package let mark: EventID
    /// … and the ring from here.
    package let position: UInt64
    /// The broker was away: it is asked again after a while.
    package var isToAskAgain = false

    package init(replay: Replay, mark: EventID, position: UInt64) {
        self.replay = replay
        self.mark = mark
        self.position = position
    }
}

@available(*, unavailable)
extension StreamReplay: Sendable {}
