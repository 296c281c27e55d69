// SPDX-License-Identifier: Apache-2.0
import Glibc
import Logging
import SluiceCore

/// Writes each record as one line on standard error, as text or as JSON.
package struct LineLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var logLevel: Logger.Level
    private let format: Settings.LogFormat

    package init(level: Logger.Level, format: Settings.LogFormat) {
        self.logLevel = level
        self.format = format
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let fields = metadata.merging(event.metadata ?? [:]) { _, new in new }.sorted { $0.key < $1.key }
        let line: String
        switch format {
        case .text:
            let details = fields.map { " \($0.key)=\(LineLogHandler.word("\($0.value)"))" }.joined()
            line = "\(LineLogHandler.now()) \(event.level) \(LineLogHandler.oneLine("\(event.message)"))\(details)\n"
        case .json:
            let details = fields.map { ",\(JSONText.quoted($0.key)):\(JSONText.quoted("\($0.value)"))" }.joined()
            line =
                "{\"time\":\"\(LineLogHandler.now())\",\"level\":\"\(event.level)\",\"message\":\(JSONText.quoted("\(event.message)"))\(details)}\n"
        }
        // One write, so that lines of several threads don't mix; a log that can't be written is nobody's concern.
        _ = line.utf8.withContiguousStorageIfAvailable { write(STDERR_FILENO, $0.baseAddress, $0.count) }
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
