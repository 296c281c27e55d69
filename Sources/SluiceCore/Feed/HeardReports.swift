// SPDX-License-Identifier: Apache-2.0

/// What the broker has to be told of what this node has heard, until it is certain that it knows.
///
/// The server that has answered may die in its turn, before another has what it was told. So what was answered is kept for
/// a while, and told to the next data set as well.
struct HeardReports {
    private static let eventsPerReport = 128
    /// In ticks.
    private static let age = 5

    /// Up to which place the data set is the one in which each was heard. Not the same for all: the earlier it is, the more
    /// streams have to be told of what is lost.
    private var waiting: [HeardEvent: EventID] = [:]
    private var answered: [HeardEvent: (since: EventID, age: Int)] = [:]
    private var sent: HeardReport?

    var size: Int { waiting.count + answered.count }

    /// Another data set has come back: it is told again what the one before it was told last.
    mutating func beginAnew() {
        for (event, told) in answered { add(event, since: told.since) }
        answered.removeAll()
    }

    mutating func add(_ event: HeardEvent, since: EventID) {
        waiting[event] = min(waiting[event] ?? since, since)
    }

    /// What is to be told now; nil: nothing, or the last report is not answered.
    mutating func next() -> HeardReport? {
        guard sent == nil, !waiting.isEmpty else { return nil }
        let items = waiting.prefix(HeardReports.eventsPerReport).map { HeardReport.Item($0.key, since: $0.value) }
        sent = HeardReport(items)
        return sent
    }

    mutating func answered(_ isTaken: Bool) {
        defer { sent = nil }
        guard isTaken, let sent else { return }
        for item in sent.items where waiting[item.event] == item.since {
            waiting[item.event] = nil
            answered[item.event] = (item.since, 0)
        }
    }

    mutating func tick() {
        guard !answered.isEmpty else { return }
        answered = answered.compactMapValues { $0.age < HeardReports.age ? ($0.since, $0.age + 1) : nil }
    }
}
