// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization

/// How far `sluice publish -` has come, for whoever ends it: an error, or a signal that comes at any time.
final class PublishProgress: Sendable {
    private struct State {
        /// All lines up to this one are published.
        var published = 0
        /// Lines whose answer has not come, behind those.
        var underWay = 0
        /// Lines that are published although one before them is not.
        var ahead = 0
        /// A signal has come.
        var exitCode: CInt?
    }

    private let state = Mutex(State())

    /// The number of the first line that is not published, from 1.
    var nextLine: Int { state.withLock { $0.published + 1 } }

    func began(_ count: Int) {
        state.withLock { $0.underWay = count }
    }

    /// The answers have come: so many lines from the first on are published, and so many behind one that is not.
    ///
    /// Does not return if a signal has come meanwhile.
    func ended(published count: Int, ahead: Int) {
        let exitCode = state.withLock { state in
            state.published += count
            state.underWay = 0
            state.ahead = ahead
            return state.exitCode
        }
        if let exitCode { end(exitCode) }
    }

    /// A signal: what is under way is waited for, until the second one.
    func interrupt(_ exitCode: CInt) {
        let isNow = state.withLock { state in
            defer { state.exitCode = exitCode }
            return state.underWay == 0 || state.exitCode != nil
        }
        if isNow { end(exitCode) }
    }

    private func end(_ exitCode: CInt) -> Never {
        StandardStream.note("stopped by a signal; \(statement)")
        exit(exitCode)
    }

    /// What is published, in one sentence.
    var statement: String {
        state.withLock { state in
            var text: String
            switch state.published {
            case 0: text = "no line is published"
            case 1: text = "line 1 is published"
            default: text = "lines 1 to \(state.published) are published"
            }
            if state.ahead > 0 { text += ", and \(state.ahead) behind line \(state.published + 1)" }
            if state.underWay > 0 {
                let last = state.published + state.underWay
                text += "; of lines \(state.published + 1) to \(last) it is not known"
            }
            return text
        }
    }
}
