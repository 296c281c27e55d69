// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import NIOCore

/// A time on the command line, in the notation of the settings: `250ms`, `15s`, `5m`, `1h`.
struct DurationArgument: ExpressibleByArgument, Sendable, CustomStringConvertible {
    private static let units: [Substring: Int64] = ["ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000]

    let amount: TimeAmount
    let description: String

    init?(argument text: String) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let count = Int64(digits), count <= 1_000_000,
            let unit = DurationArgument.units[text.dropFirst(digits.count)]
        else { return nil }
        amount = .milliseconds(count * unit)
        description = text
    }

    init(milliseconds: Int64) {
        amount = .milliseconds(milliseconds)
        description = milliseconds.isMultiple(of: 1000) ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
    }

    init(seconds: Int64) { self.init(milliseconds: seconds * 1000) }

    var defaultValueDescription: String { description }
}
