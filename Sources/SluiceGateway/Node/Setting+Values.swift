// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// How the text of each kind of value is read.
extension Setting {
    static func address(_ text: String) throws(Invalid) -> ListenAddress {
        guard let address = ListenAddress(text) else { throw Invalid(expected: "takes HOST:PORT, as 127.0.0.1:8080") }
        return address
    }

    static func keyFile(_ text: String) throws(Invalid) -> KeyFile {
        guard let file = KeyFile(text) else { throw Invalid(expected: "takes FILE or KID=FILE") }
        return file
    }

    static func notEmpty(_ text: String) throws(Invalid) -> String {
        guard !text.isEmpty else { throw Invalid(expected: "takes a name") }
        return text
    }

    /// A token as RFC 9110 §5.6.2 has it, which is what RFC 6265 §4.1.1 asks for.
    static func cookieName(_ text: String) throws(Invalid) -> String {
        let isFit = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"()<>@,;:\\\"/[]?={}".utf8.contains($0) }
        guard isFit, !text.isEmpty else { throw Invalid(expected: "takes the name of a cookie") }
        return text
    }

    static func topicPattern(_ text: String) throws(Invalid) -> TargetPattern {
        let pattern: TargetPattern
        do { pattern = try TargetPattern(text) } catch { throw Invalid(expected: "\(error)") }
        guard pattern.kind == .topic else { throw Invalid(expected: "takes topics; a client needs a token") }
        return pattern
    }

    static func number(_ text: String, _ range: ClosedRange<Int>) throws(Invalid) -> Int {
        guard let number = Int(text), range.contains(number) else {
            throw Invalid(expected: "takes a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    static func flag(_ text: String) throws(Invalid) -> Bool {
        switch text {
        case "true", "1", "yes", "on": true
        case "false", "0", "no", "off": false
        default: throw Invalid(expected: "takes true or false")
        }
    }

    /// `250ms`, `15s`, `5m`, `1h`.
    static func duration(_ text: String, _ range: ClosedRange<TimeAmount>) throws(Invalid) -> TimeAmount {
        let digits = text.prefix { $0.isNumber }
        let units: [Substring: Int64] = [
            "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000,
        ]
        guard let count = Int64(digits), count <= 1_000_000_000, let unit = units[text.dropFirst(digits.count)] else {
            throw Invalid(expected: "takes a time, as 250ms, 15s, 5m or 1h")
        }
        let (nanoseconds, overflow) = count.multipliedReportingOverflow(by: unit)
        guard !overflow, range.contains(.nanoseconds(nanoseconds)) else {
            throw Invalid(expected: "takes a time from \(shown(range.lowerBound)) to \(shown(range.upperBound))")
        }
        return .nanoseconds(nanoseconds)
    }

    static func shown(_ time: TimeAmount) -> String {
        let milliseconds = time.nanoseconds / 1_000_000
        if milliseconds.isMultiple(of: 3_600_000), milliseconds > 0 { return "\(milliseconds / 3_600_000)h" }
        return milliseconds.isMultiple(of: 1000) ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
    }

    /// `64KiB`, `16MiB`, `1GiB`, or bytes.
    static func size(_ text: String, _ range: ClosedRange<Int>) throws(Invalid) -> Int {
        let digits = text.prefix { $0.isNumber }
        let units: [Substring: Int] = ["": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30]
        guard let count = Int(digits), count <= 1 << 40, let unit = units[text.dropFirst(digits.count)] else {
            throw Invalid(expected: "takes a size, as 64KiB or 16MiB")
        }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: unit)
        guard !overflow, range.contains(bytes) else {
            throw Invalid(expected: "takes a size from \(range.lowerBound) to \(range.upperBound) bytes")
        }
        return bytes
    }
}
