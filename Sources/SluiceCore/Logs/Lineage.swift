// SPDX-License-Identifier: Apache-2.0

/// Which processes have given out a data set's ids, one after the other, and from which id on each did.
///
/// Two data sets that come from the same one are equal up to the place where the first of their runs differ: what was
/// given out later on one of them, the other may lack.
package struct Lineage: Equatable, Sendable {
    package struct Run: Equatable, Sendable {
        /// The server's time in microseconds at which it began. One that does not end in 01 is of a process that does not mark
        /// its ids: the first of a data set, or one with an older library.
        package let number: UInt64
        /// The newest id that it found.
        package let found: EventID

        package init(_ number: UInt64, found: EventID) {
            self.number = number
            self.found = found
        }

        /// By which its ids are known, see ``EventID/runSecond``.
        var second: UInt64? { number % 100 == 1 ? number / 1_000_000 % Run.seconds : nil }

        static let seconds: UInt64 = 128

        /// Its ids are later than this: the first may be of the very millisecond in which it began.
        var began: EventID { max(found, EventID(min(max(number / 1000, 1) - 1, EventID.timeLimit - 1), 0)) }
    }

    /// Oldest first; only so many are kept.
    package private(set) var runs: [Run]

    package init(_ runs: [Run] = []) {
        self.runs = runs
    }

    /// Parses `<run> <id> <run> <id> …`, as the Redis function keeps it. Of what it can't have written nothing is believed.
    package init(text: String) {
        let words = text.split(separator: " ")
        let runs = stride(from: 0, to: words.count - 1, by: 2).compactMap { index -> Run? in
            guard let number = UInt64(words[index]), let found = EventID(words[index + 1]) else { return nil }
            return Run(number, found: found)
        }
        self.init(runs.count * 2 == words.count ? runs : [])
    }

    package var isEmpty: Bool { runs.isEmpty }

    /// Where another data set has left this one.
    package struct Parting: Equatable {
        /// Up to here the two are equal.
        package let upTo: EventID
        /// Ids of its own the other has given out after this one.
        package let began: EventID
    }

    /// Where its newest run has left what was before; nil: it has none.
    package var newestParting: Parting? {
        runs.last.map { Parting(upTo: $0.found, began: $0.began) }
    }

    /// nil: this one has not been left since.
    package func parting(from other: Lineage) -> Parting? {
        guard let last = runs.last, let newest = other.runs.last, last.number != newest.number else { return nil }
        for (index, run) in runs.enumerated().reversed() {
            guard let place = other.runs.lastIndex(where: { $0.number == run.number }) else { continue }
            let (own, others) = (runs.dropFirst(index + 1).first, other.runs.dropFirst(place + 1).first)
            guard let upTo = [own, others].compactMap({ $0?.found }).min() else { break }
            return Parting(upTo: upTo, began: max(upTo, others?.began ?? .zero))
        }
        return Parting(upTo: .zero, began: other.runs.first?.began ?? .zero)
    }

    /// The run that gave out this id; nil: one of another data set, or one that was forgotten since.
    func run(of id: EventID) -> Int? {
        runs.lastIndex { $0.second == id.runSecond && $0.began < id }
    }

    /// Whether two servers gave out ids at once, and this id is not of this data set: from which id on that had ids of its own. A
    /// client that was told this id as its place lacks those that are earlier.
    ///
    /// While a former master lives beside its successor, or comes back beside it, nothing else shows it.
    package func rivalBegan(to id: EventID) -> EventID? {
        guard !id.isOnlyTime else { return nil }
        if let run = run(of: id) { return runs[(run + 1)...].first { $0.began < id }?.began }
        // Not beside those that had come to their end before it began. Which of the others it comes from nobody knows.
        let began = EventID(id.runBegan * 1000, 0)
        return runs.indices.first { index in
            let end = index + 1 < runs.endIndex ? runs[index + 1].found : .max
            return end > began && runs[index].began < id
        }.map { runs[$0].began }
    }
}

extension EventID {
    private static let unmarked = Lineage.Run.seconds
    private static let step = 2 * unmarked

    /// When the run began that gave it out, in seconds modulo 128; nil: that run does not mark its ids.
    ///
    /// The function writes it into the lowest bits of the sequence, because ids that two servers give out side by side are of the
    /// same milliseconds.
    var runSecond: UInt64? {
        let low = sequence % EventID.step
        return low < EventID.unmarked ? nil : low - EventID.unmarked
    }

    /// No run gave it out: it says where a client is among ids that it was never told.
    package var isOnlyTime: Bool { sequence % EventID.step == EventID.step - 1 }

    /// Its time as a place among the ids of another clock: before all of its millisecond, and one that no run gave out.
    package var time: EventID {
        self == .zero ? .zero : EventID(Swift.max(milliseconds, 1) - 1, EventID.step - 1)
    }

    /// The latest time at which that run may have begun, in seconds since 1970.
    fileprivate var runBegan: UInt64 {
        guard let runSecond else { return 0 }
        let (second, count) = (milliseconds / 1000, Lineage.Run.seconds)
        let age = (second % count + count - runSecond) % count
        return second - min(age, second)
    }
}
