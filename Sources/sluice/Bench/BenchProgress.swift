// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// One line on standard error that says how far the bench is: on a screen it is overwritten, in a file it is seldom.
struct BenchProgress {
    private let isTerminal = StandardStream.error.isTerminal
    private let isShown: Bool
    private var next = NIODeadline.now()
    private var width = 0

    init(isShown: Bool) {
        self.isShown = isShown
    }

    mutating func show(_ line: @autoclosure () -> String) {
        let now = NIODeadline.now()
        guard isShown, now >= next else { return }
        next = now + (isTerminal ? .milliseconds(200) : .seconds(5))
        write(line())
    }

    /// The end of a phase: this line stays.
    mutating func finish(_ line: String) {
        guard isShown else { return }
        write(line)
        if isTerminal { try? StandardStream.error.write("\n") }
        width = 0
        next = .now() + (isTerminal ? .zero : .seconds(5))
    }

    private mutating func write(_ line: String) {
        if isTerminal {
            let padding = String(repeating: " ", count: max(0, width - line.count))
            try? StandardStream.error.write("\r\(line)\(padding)")
            width = line.count
        } else {
            try? StandardStream.error.write("\(line)\n")
        }
    }
}
