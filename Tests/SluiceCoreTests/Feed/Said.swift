// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// What the machine says when a data set may have gone back. An id is given as its distance from the time at which a test begins.
enum Said: Equatable {
    case tick
    case readMarkers
    case changed
    case report(HeardReport)
    case hole(Int, wasHeard: Bool)
    case readLog(after: Int)
    case brought(Int)
    case gap(upTo: Int?)

    /// nil: it is about something else.
    init?(_ action: FeedAction) {
        switch action {
        case .tick: self = .tick
        case .readMarkers: self = .readMarkers
        case .changed: self = .changed
        case .report(let report):
            self = .report(HeardReport(report.items.sorted { $0.event.id < $1.event.id }))
        case .hole(let hole, _, let wasHeard, _): self = .hole(Said.offset(hole.upTo), wasHeard: wasHeard)
        case .readLog(let read): self = .readLog(after: Said.offset(read.request.after))
        case .replay(let entry, _, _): self = .brought(Said.offset(entry.id))
        case .gap(let gap, _): self = .gap(upTo: gap.to.map { Said.offset($0) })
        default: return nil
        }
    }

    static func offset(_ id: EventID) -> Int { Int(id.milliseconds) - Int(FeedMachineTests.time) }
}
