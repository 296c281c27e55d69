// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Says when a warning that could come a thousand times a second is due again.
package struct Complaints {
    private let interval: TimeAmount
    private var last: [String: NIODeadline] = [:]

    package init(interval: TimeAmount) {
        self.interval = interval
    }

    package mutating func isDue(_ kind: String, now: NIODeadline) -> Bool {
        if let last = last[kind], now - last < interval { return false }
        last[kind] = now
        return true
    }
}
