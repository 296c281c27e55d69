// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// How far a ``LinePublisher`` has come, for whoever ends it: an error, or somebody's wish, which comes at any time.
package final class PublishProgress: Sendable {
    private struct State {
        /// All lines up to this one are published.
        var published = 0
        /// Lines whose answer has not come, behind those.
        var underWay = 0
        /// Lines that are published although one before them is not.
        var ahead = 0
        /// What is to be done as soon as it is known of each line whether it is published.
        var end: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    package init() {}

    /// The number of the first line that is not published, from 1.
    var nextLine: Int { state.withLock { $0.published + 1 } }

    func began(_ count: Int) {
        state.withLock { $0.underWay = count }
    }

    /// The answers have come: so many lines from the first on are published, and so many behind one that is not.
    ///
    /// Ends it if somebody wished it meanwhile.
    func ended(published count: Int, ahead: Int) {
        let end = state.withLock { state in
            state.published += count
            state.underWay = 0
            state.ahead = ahead
            return state.end
        }
        end?()
    }

    /// Ends it: what is under way is waited for, until the second wish.
    ///
    /// - Parameter end: ends the process; may be called on any thread.
    package func interrupt(_ end: @escaping @Sendable () -> Void) {
        let isNow = state.withLock { state in
            defer { state.end = end }
            return state.underWay == 0 || state.end != nil
        }
        if isNow { end() }
    }

    /// What is published, in one sentence.
    package var statement: String {
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
