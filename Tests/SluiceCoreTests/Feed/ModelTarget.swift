// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// The reference for one target: what was published, and what a stream that listens to it has to get.
///
/// Each event once and in order, or a gap that covers it, before anything later.
final class ModelTarget {
    let target: Target
    /// Whoever publishes here forges predecessors: nothing is promised but that no event comes twice.
    let isForged: Bool
    private(set) var published: [EventID] = []
    private(set) var isListenedTo = false
    /// Since somebody listens.
    private var delivered: Set<EventID> = []
    private var gaps: [(from: EventID, to: EventID)] = []
    /// Where the stream begins, and the first event that it has not got; nil: there is none, or its start is not known yet.
    private var next: Int?
    /// Events that did not come, and that nobody has noticed yet; or nobody knows which.
    private var lostInSilence: Set<EventID> = []
    /// The data set has forgotten them, and who had heard them may not have said so yet.
    private var undone: Set<EventID> = []
    var isFlooded = false
    /// A repair of this target is under way.
    var isHeldBack = false
    private(set) var hasStream = false
    private(set) var streams = 0

    init(target: Target, isForged: Bool) {
        self.target = target
        self.isForged = isForged
    }

    func published(_ id: EventID) { published.append(id) }

    func lostInSilence(_ id: EventID) { lostInSilence.insert(id) }

    func goBack(to clock: EventID) { undone.formUnion(published.filter { $0 > clock }) }

    func listen() { isListenedTo = true }

    func unlisten() {
        isListenedTo = false
        closeStream()
    }

    func closeStream() {
        hasStream = false
        next = nil
        gaps = []
    }

    /// The machine knows nothing of the target any more.
    func gone() { delivered = [] }

    /// A stream's target is confirmed: what comes from now on is its own, as far as it is later than its start.
    func openStream() {
        hasStream = true
        streams += 1
        gaps = []
    }

    func streamBegins(after mark: EventID, stream: Int) {
        guard hasStream, streams == stream else { return }
        next = published.firstIndex { $0 > mark } ?? published.count
    }

    private func isLost(_ id: EventID) -> Bool { gaps.contains { $0.from < id && id <= $0.to } }

    /// - Returns: the first event that the stream has not got; nil: it has all, or there is no stream.
    private func missing(atEnd: Bool = false) -> EventID? {
        guard var index = next else { return nil }
        while index < published.count, delivered.contains(published[index]) || isLost(published[index]) { index += 1 }
        next = index
        while !atEnd, index < published.count,
            delivered.contains(published[index]) || isLost(published[index]) || undone.contains(published[index])
        {
            index += 1
        }
        return index < published.count ? published[index] : nil
    }

    /// - Returns: what is wrong.
    func deliver(_ id: EventID) -> String? {
        let missing = missing()
        guard delivered.insert(id).inserted else { return "\(id) twice" }
        guard !isForged, let missing, missing < id else { return nil }
        return "\(id) before \(missing)"
    }

    /// - Parameter isKnown: Redis still has what tells whether something is lost.
    func gap(from: EventID?, to: EventID, isKnown: Bool) -> String? {
        let from = from ?? .zero
        gaps.append((from, to))
        guard !isForged, isKnown else { return nil }
        let isTrue = published.contains { $0 > from && $0 <= to && !delivered.contains($0) }
        return isTrue ? nil : "a gap \(from) to \(to) where nothing is lost"
    }

    /// - Parameter wasHeard: the node says that it has had what is lost.
    func hole(upTo: EventID, wasHeard: Bool) -> String? {
        guard wasHeard, !isForged, next.map({ $0 < published.count && published[$0] <= upTo }) ?? false else {
            return nil
        }
        return delivered.contains(upTo) || isLost(upTo) ? nil : "\(upTo) was never heard"
    }

    /// - Parameter reading: everything up to here has been delivered, says the machine.
    func reading(_ reading: EventID) -> String? {
        guard !isForged, !isFlooded, !isHeldBack, let missing = missing(), missing <= reading,
            !lostInSilence.contains(missing)
        else { return nil }
        return "a reading \(reading) before \(missing)"
    }

    var problemAtEnd: String? { isForged ? nil : missing(atEnd: true).map { "\($0) never" } }
}
