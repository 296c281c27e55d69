// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceRedis

/// When a key set is fetched anew: now and then, soon after a failure, and when a token names a key that is not known,
/// but then no more often than the server of the keys can bear, since anybody can send such tokens.
package struct KeyRefresh {
    package static let interval = TimeAmount.minutes(10)
    /// Between two fetches for unknown keys.
    package static let pause = TimeAmount.seconds(10)

    private var backoff = Backoff(first: .seconds(1), last: .minutes(1))
    private var lastStart: NIODeadline?
    /// When the next one is due by itself.
    package private(set) var due: NIODeadline

    package init(now: NIODeadline) {
        due = now
    }

    package func mayFetchForUnknownKey(now: NIODeadline) -> Bool {
        lastStart.map { now - $0 >= KeyRefresh.pause } ?? true
    }

    package mutating func began(now: NIODeadline) {
        lastStart = now
    }

    package mutating func ended(
        successfully isSuccess: Bool, now: NIODeadline, using generator: inout some RandomNumberGenerator
    ) {
        if isSuccess { backoff.reset() }
        due = now + (isSuccess ? KeyRefresh.interval : backoff.next(using: &generator))
    }
}
