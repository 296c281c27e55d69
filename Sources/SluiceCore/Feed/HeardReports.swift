// SPDX-License-Identifier: Apache-2.0

/// What the broker has to be told of what this node has heard, until it is certain that it knows.
///
/// The server that has answered may die in its turn, before another has what it was told. So an answered report is kept for
/// a while, and told to the next data set as well.
struct HeardReports {
    private static let eventsPerReport = 128
    /// In ticks.
    private static let age = 5

    private var waiting: [Target: HeardEvent] = [:]
    private var answered: [Target: (event: HeardEvent, age: Int)] = [:]
    private var since = EventID.max
    private var doubt: Doubt?
    private var answeredDoubt: (doubt: Doubt, age: Int)?
    private var sent: HeardReport?

    var size: Int { waiting.count + answered.count }

    /// The data set is another one, and equal to the one before it up to `parting` only.
    mutating func add(_ events: [HeardEvent], since parting: EventID, doubt: Doubt?) {
        if waiting.isEmpty, answered.isEmpty { since = parting }
        since = min(since, parting)
        let doubts = [self.doubt, answeredDoubt?.doubt, doubt].compactMap(\.self)
        self.doubt = doubts.map(\.after).min().flatMap { after in
            doubts.map(\.upTo).max().flatMap { Doubt(after: after, upTo: $0) }
        }
        answeredDoubt = nil
        for event in answered.values.map(\.event) + events where waiting[event.target].map({ $0.id < event.id }) ?? true
        {
            waiting[event.target] = event
        }
        answered.removeAll()
    }

    /// What is to be told now; nil: nothing, or the last report is not answered.
    mutating func next() -> HeardReport? {
        guard sent == nil, !waiting.isEmpty || doubt != nil else { return nil }
        sent = HeardReport(since: since, Array(waiting.values.prefix(HeardReports.eventsPerReport)), doubt: doubt)
        return sent
    }

    mutating func answered(_ isTaken: Bool) {
        defer { sent = nil }
        guard isTaken, let sent else { return }
        if let told = sent.doubt, told == doubt {
            doubt = nil
            answeredDoubt = (told, 0)
        }
        for event in sent.events where waiting[event.target] == event {
            waiting[event.target] = nil
            answered[event.target] = (event, 0)
        }
    }

    mutating func tick() {
        if let (doubt, age) = answeredDoubt { answeredDoubt = age < HeardReports.age ? (doubt, age + 1) : nil }
        guard !answered.isEmpty else { return }
        answered = answered.compactMapValues { $0.age < HeardReports.age ? ($0.event, $0.age + 1) : nil }
    }
}
