// SPDX-License-Identifier: Apache-2.0
import Logging
import Synchronization

/// What was logged: level, message and metadata of each line.
package final class LogLines: Sendable {
    private struct Handler: LogHandler {
        let lines: LogLines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let words = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
            lines.all.withLock { $0.append("\(event.level) \(event.message)\(words)") }
        }
    }

    package let all = Mutex<[String]>([])

    package var lines: [String] { all.withLock(\.self) }

    package init() {}

    package var logger: Logger { Logger(label: "test") { _ in Handler(lines: self) } }
}
