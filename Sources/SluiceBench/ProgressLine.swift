// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// One line that says how far the bench is: on a screen it is overwritten, in a file it is seldom.
package struct ProgressLine {
    private let isTerminal: Bool
    private let write: @Sendable (String) -> Void
    private var next = NIODeadline.now()
    private var width = 0

    /// - Parameter isTerminal: `write` goes to a screen.
    package init(isTerminal: Bool, write: @escaping @Sendable (String) -> Void) {
        self.isTerminal = isTerminal
        self.write = write
    }

    mutating func update(_ line: @autoclosure () -> String) {
        let now = NIODeadline.now()
        guard now >= next else { return }
        next = now + (isTerminal ? .milliseconds(200) : .seconds(5))
        show(line())
    }

    /// The end of a phase: this line stays.
    mutating func finish(_ line: String) {
        show(line)
        if isTerminal { write("\n") }
        width = 0
        next = .now() + (isTerminal ? .zero : .seconds(5))
    }

    private mutating func show(_ line: String) {
        if isTerminal {
            let padding = String(repeating: " ", count: max(0, width - line.count))
            write("\r\(line)\(padding)")
            width = line.count
        } else {
            write("\(line)\n")
        }
    }
}
