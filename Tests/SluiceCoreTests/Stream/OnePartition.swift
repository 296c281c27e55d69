// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// The machine's inputs as the tables of streams with one partition write them.
extension StreamMachine {
    mutating func gap(_ gap: Gap, id: EventID?, now: NIODeadline) -> GapAction {
        self.gap(gap, id: id, in: .first, clocks: Cut(.zero), now: now)
    }

    func isFinished(newest: Cut, end: EventID) -> Bool {
        var targets = StreamTargets()
        if let a = StreamTables.a {
            var feed = TargetFeed(of: a)
            if end > .zero { _ = feed.end(by: end) }
            targets.add(a, feed)
        }
        return isFinished(newest: newest, targets: targets)
    }
}
