// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// How fast each publisher may publish: so many events and bytes a second, and a second's worth at once.
package struct PublishRate: Sendable {
    /// nil: no limit.
    private var events: KeyedRate<String>?
    private var bytes: KeyedRate<String>?

    /// - Parameters:
    ///   - events: per second and publisher; 0: no limit.
    ///   - bytes: the same.
    package init(events: Int, bytes: Int, idsMax: Int = 100_000) {
        if events > 0 { self.events = KeyedRate(rate: events, keysMax: idsMax) }
        if bytes > 0 { self.bytes = KeyedRate(rate: bytes, keysMax: idsMax) }
    }

    /// Takes all of it at once or none. More than a second's worth passes if the whole second is there, and has to be
    /// waited for afterwards: else a large request could never be sent.
    ///
    /// - Returns: nil if granted, else how long to wait.
    package mutating func take(_ id: String, events count: Int, bytes size: Int, now: NIODeadline) -> TimeAmount? {
        let waits = [events?.wait(for: count, id, now: now), bytes?.wait(for: size, id, now: now)]
        if let wait = waits.compactMap(\.self).max() { return wait }
        _ = events?.take(id, count: count, now: now)
        _ = bytes?.take(id, count: size, now: now)
        return nil
    }

    /// Publishers that are remembered.
    package var idCount: Int { max(events?.keyCount ?? 0, bytes?.keyCount ?? 0) }
}
