// SPDX-License-Identifier: Apache-2.0
import Glibc
import Logging
import SluiceCore

/// One record of the log as one line, whatever its values hold.
package struct LogLine {
    /// A value may be what a stranger or Redis has sent.
    private static let charactersMax = 1000

    package var level: Logger.Level
    package var message: String
    /// Sorted by whoever makes the line.
    package var fields: [(name: String, value: String)]

    package init(_ level: Logger.Level, _ message: String, _ fields: [(name: String, value: String)]) {
        self.level = level
        self.message = message
        self.fields = fields
    }

    /// The line with its time, which is now, and its end.
    package func text(_ format: LogFormat) -> String {
        let values = fields.map { (name: $0.name, value: String($0.value.prefix(LogLine.charactersMax))) }
        switch format {
        case .text:
            let details = values.map { " \($0.name)=\(LogLine.word($0.value))" }.joined()
            return "\(LogLine.now()) \(level) \(LogLine.oneLine(message))\(details)\n"
        case .json:
            let details = values.map { ",\(JSONText.quoted($0.name)):\(JSONText.quoted($0.value))" }.joined()
            return
                "{\"time\":\"\(LogLine.now())\",\"level\":\"\(level)\",\"message\":\(JSONText.quoted(message))\(details)}\n"
        }
    }

    /// A value with spaces or quotes is quoted, so that no input can forge a field or a line.
    private static func word(_ text: String) -> String {
        let isPlain =
            !text.isEmpty
            && text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7F && $0 != "\"" && $0 != "=" }
        return isPlain ? text : JSONText.quoted(text)
    }

    private static func oneLine(_ text: String) -> String {
        String(text.map { $0.isNewline ? " " : $0 })
    }

    /// RFC 3339, UTC, milliseconds.
    private static func now() -> String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        var parts = tm()
        gmtime_r(&time.tv_sec, &parts)
        func padded(_ number: Int, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let date = "\(parts.tm_year + 1900)-\(padded(Int(parts.tm_mon) + 1, 2))-\(padded(Int(parts.tm_mday), 2))"
        let clock = "\(padded(Int(parts.tm_hour), 2)):\(padded(Int(parts.tm_min), 2)):\(padded(Int(parts.tm_sec), 2))"
        return "\(date)T\(clock).\(padded(time.tv_nsec / 1_000_000, 3))Z"
    }
}
