// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// How many lines of one kind, that is with one message, the log takes in a minute. Strangers, publishers and a Redis that
/// flaps can cause most warnings; whoever logs need not think of how often.
package struct LogLimit {
    package struct Admission: Equatable {
        /// Lines of this kind that came since the last one and were not written.
        package var leftOut: Int
        /// The next ones of this minute will not be written.
        package var isLast: Bool

        package init(leftOut: Int = 0, isLast: Bool = false) {
            self.leftOut = leftOut
            self.isLast = isLast
        }
    }

    private struct Window {
        var start: NIODeadline
        var count = 0
    }

    private static let interval = TimeAmount.minutes(1)
    /// Messages are constants of the program; this is for one that holds a reason.
    private static let kindsMax = 256

    private let linesMax: Int
    private var windows: [String: Window] = [:]

    package init(linesMax: Int) {
        self.linesMax = linesMax
    }

    /// - Returns: nil: the line is not to be written.
    package mutating func admit(_ message: String, now: NIODeadline) -> Admission? {
        if message == EventLog.message { return Admission() }
        let kind = kind(of: message, now: now)
        var window = windows[kind] ?? Window(start: now)
        var admission = Admission()
        if now - window.start >= LogLimit.interval {
            admission.leftOut = max(0, window.count - linesMax)
            window = Window(start: now)
        }
        window.count += 1
        windows[kind] = window
        guard window.count <= linesMax else { return nil }
        admission.isLast = window.count == linesMax
        return admission
    }

    /// The message itself; all share one kind if there are too many.
    private mutating func kind(of message: String, now: NIODeadline) -> String {
        if windows[message] != nil || windows.count < LogLimit.kindsMax { return message }
        windows = windows.filter { now - $0.value.start < LogLimit.interval || $0.value.count > linesMax }
        return windows.count < LogLimit.kindsMax ? message : ""
    }
}
