// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import SluiceRedis

extension ValueKind {
    /// A whole number and its unit, as much as an integer can be at most; nil if it is none.
    private static func amount(_ text: String, _ units: [Substring: Int]) -> Int? {
        let digits = text.prefix { $0.isNumber }
        guard let count = Int(digits), let unit = units[text.dropFirst(digits.count)] else { return nil }
        let (amount, isOver) = count.multipliedReportingOverflow(by: unit)
        return isOver ? .max : amount
    }
}

extension ValueKind where Value == Bool {
    static var flag: Self {
        Self(nil, "takes true or false") { text in
            switch text {
            case "true", "1", "yes", "on": true
            case "false", "0", "no", "off": false
            default: nil
            }
        }
    }
}

extension ValueKind where Value == Int {
    /// Of things at a time, or in a second.
    static var limit: Self { number(0...100_000_000) }

    static func number(_ range: ClosedRange<Int>) -> Self {
        Self("N", "takes a whole number from \(range.lowerBound) to \(range.upperBound)") { text in
            Int(text).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    /// `64KiB`, `16MiB`, `1GiB`, or bytes.
    static func size(_ range: ClosedRange<Int>) -> Self {
        Self("SIZE") { text in
            guard let bytes = amount(text, ["": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30]) else {
                throw Invalid(description: "takes a size, as 64KiB or 16MiB")
            }
            guard range.contains(bytes) else {
                throw Invalid(description: "takes a size from \(range.lowerBound) to \(range.upperBound) bytes")
            }
            return bytes
        }
    }
}

extension ValueKind where Value == TimeAmount {
    static var timeout: Self { duration(.milliseconds(100) ... .hours(1)) }

    /// `250ms`, `15s`, `5m`, `1h`.
    static func duration(_ range: ClosedRange<TimeAmount>) -> Self {
        Self("D") { text in
            let seconds = 1_000_000_000
            guard let amount = amount(text, ["ms": 1_000_000, "s": seconds, "m": 60 * seconds, "h": 3600 * seconds])
            else { throw Invalid(description: "takes a time, as 250ms, 15s, 5m or 1h") }
            let time = TimeAmount.nanoseconds(Int64(amount))
            guard range.contains(time) else {
                throw Invalid(
                    description: "takes a time from \(shown(range.lowerBound)) to \(shown(range.upperBound))")
            }
            return time
        }
    }

    private static func shown(_ time: TimeAmount) -> String {
        let milliseconds = time.nanoseconds / 1_000_000
        if milliseconds.isMultiple(of: 3_600_000), milliseconds > 0 { return "\(milliseconds / 3_600_000)h" }
        return milliseconds.isMultiple(of: 1000) ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
    }
}

extension ValueKind where Value == String {
    static var file: Self { text("FILE") }

    static func text(_ placeholder: String) -> Self { Self(placeholder) { $0 } }

    static var secret: Self { Self("TEXT", isSecret: true) { $0 } }

    static var redisPrefix: Self {
        Self("NAME") { text in
            if let problem = RedisNames.problem(prefix: text) { throw Invalid(description: problem) }
            return text
        }
    }

    /// The empty one is made up at the start.
    static var nodeID: Self {
        Self("ID", "needs 1 to 64 letters, digits, dots, hyphens or underscores") { text in
            text.isEmpty || NodeID.isValid(text) ? text : nil
        }
    }

    /// A token as RFC 9110 §5.6.2 has it, which is what RFC 6265 §4.1.1 asks for.
    static var cookieName: Self {
        Self("NAME", "takes the name of a cookie") { text in
            let isFit = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"()<>@,;:\\\"/[]?={}".utf8.contains($0) }
            return isFit && !text.isEmpty ? text : nil
        }
    }
}

extension ValueKind where Value == ListenAddress {
    static var address: Self { Self("HOST:PORT", "takes HOST:PORT, as 127.0.0.1:8080") { ListenAddress($0) } }
}

extension ValueKind where Value == RedisURL {
    /// A password must not end up in a log, also where the rest of the URL is wrong.
    static var redisURL: Self { Self("URL", isSecret: true) { try RedisURL($0) } }
}

extension ValueKind where Value == OriginPattern {
    static var origin: Self {
        Self("ORIGIN", "takes an origin without a path, as https://a.example or https://*.example.com, or *") {
            OriginPattern($0)
        }
    }
}

extension ValueKind where Value == HostPattern {
    static var host: Self {
        Self("NAME", "takes a host, as a.example, a.example:8080, [::1] or *.example.com") { HostPattern($0) }
    }
}

extension ValueKind where Value == NetworkRange {
    static var range: Self { Self("CIDR") { try NetworkRange($0) } }
}

extension ValueKind where Value == KeyFile {
    static var keyFile: Self { Self("[KID=]FILE", "takes FILE or KID=FILE") { KeyFile($0) } }
}

extension ValueKind where Value == KeySetLocation {
    static var keySet: Self {
        Self("FILE|URL", "takes a file, an https:// address, or http:// on a loopback address") { KeySetLocation($0) }
    }
}

extension ValueKind where Value == TargetPattern {
    static var topics: Self {
        Self("PATTERN") { text in
            let pattern = try TargetPattern(text)
            guard pattern.kind == .topic else { throw Invalid(description: "takes topics; a client needs a token") }
            return pattern
        }
    }
}
