// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore

/// Hands each record as a line of text or JSON to the log's output, as long as its kind is within its limit.
package struct LineLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var logLevel: Logger.Level
    private let output: LogOutput
    private let clock: @Sendable () -> NIODeadline

    /// - Parameter clock: any thread logs, so there is no event loop to ask.
    package init(level: Logger.Level, output: LogOutput, clock: @escaping @Sendable () -> NIODeadline) {
        self.logLevel = level
        self.output = output
        self.clock = clock
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let message = "\(event.message)"
        guard let admission = output.admit(message, now: clock()) else { return }
        var fields = metadata.merging(event.metadata ?? [:]) { _, new in new }
            .map { (name: $0.key, value: "\($0.value)") }.sorted { $0.name < $1.name }
        if admission.leftOut > 0 { fields.append(("left_out", "\(admission.leftOut)")) }
        if admission.isLast { fields.append(("more", "left out for a minute")) }
        output.write(LogLine(event.level, message, fields))
    }
}
