// SPDX-License-Identifier: Apache-2.0
import Logging
import SluiceCore

/// The log's lines of events that were sampled (`--log-sample`): so that somebody who looks for one finds where it was
/// written, and when.
package struct EventLog: Sendable {
    /// How many are chosen is limited where they are, and not again as lines of one kind.
    static let message = "an event was handed to streams"

    private let logger: Logger

    package init(_ logger: Logger) {
        self.logger = logger
    }

    /// A thread has written an event to streams that are live.
    ///
    /// - Parameter now: the wall clock, in milliseconds since 1970.
    func wrote(
        _ id: EventID, of target: Target, trace: TraceParent?, toStreams streams: Int, thread: Int, now: UInt64
    ) {
        var fields: Logger.Metadata = [
            "target": "\(target)", "streams": "\(streams)", "thread": "\(thread)",
        ]
        if id != .zero {
            fields["id"] = "\(id)"
            fields["seconds"] = "\(Double(now - min(id.milliseconds, now)) / 1000)"
        }
        if let trace { fields["traceparent"] = "\(trace)" }
        logger.info("\(EventLog.message)", metadata: fields)
    }
}
