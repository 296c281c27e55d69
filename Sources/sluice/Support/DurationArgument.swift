// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import NIOCore

/// A time on the command line, in the notation of the settings: `250ms`, `15s`, `5m`, `1h`.
struct DurationArgument: ExpressibleByArgument, Sendable, CustomStringConvertible {
    let amount: TimeAmount
    let description: String

    init?(argument text: String) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let units: [Substring: Int64] = [
            "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000,
        ]
        guard let count = Int64(digits), count <= 1_000_000, let unit = units[text.dropFirst(digits.count)] else {
            return nil
        }
        amount = .nanoseconds(count * unit)
        description = text
    }

    init(milliseconds: Int64) {
        amount = .milliseconds(milliseconds)
        description = "\(milliseconds)ms"
    }

    init(seconds: Int64) {
        amount = .seconds(seconds)
        description = "\(seconds)s"
    }

    var defaultValueDescription: String { description }

    /// nil if it is not a number of whole seconds.
    var wholeSeconds: Int? {
        amount.nanoseconds.isMultiple(of: 1_000_000_000) ? Int(amount.nanoseconds / 1_000_000_000) : nil
    }
}
