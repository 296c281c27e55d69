// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// The data set that came back may be an older one, or one that has gone its own way: a replica was promoted, or a server
/// began anew with an older file.
///
/// Their lineages tell where they part. What this node has heard beyond that, the broker is asked to look for: what it lacks
/// is lost, and it keeps that for everybody. What the data set has beyond that and this node has not heard, the repair brings.
extension FeedMachine {
    /// Whoever tells of holes that never were does not make the node look through what it has heard for each of them.
    private static let searchesPerTick = 256

    /// What comes from now on is of a data set that is not known yet.
    mutating func askForLineage() {
        guard lineage == nil else { return }
        actions.append(.readMarkers(MarkerRead(targets: [], purpose: .audit(upTo: reading))))
    }

    /// The lineage of the data set that came back.
    ///
    /// - Returns: whether that is another one than the one that was heard before.
    mutating func learn(_ other: Lineage, _ markers: [(target: Target, marker: LogMarker?)]) -> Bool {
        guard !other.isEmpty else { return false }
        defer { lineage = other }
        // What was heard before its lineage was known may be of another data set than this one.
        guard let place = lineage.map({ $0.parting(from: other) }) ?? other.newestParting else { return false }
        let (parting, began) = (place.upTo, place.began)
        var lost = former.events(after: parting).map { HeardReport.Item($0, since: parting) }
        let ids = recent.ids(after: parting)
        for (target, marker) in markers {
            guard let interest = interests[target] else { continue }
            // What this node has had of it begins later, if all of that is remembered.
            let isRemembered = recent.incompleteUpTo <= parting && interest.newestRead <= parting
            let first = isRemembered ? ids[interest.number]?.min()?.before : nil
            let all = [interest.heardLast, interest.readLast].compactMap(\.self)
            for event in Set(all) where event.id > parting && !FeedMachine.has(event.id, marker) {
                lost.append(HeardReport.Item(event, since: max(parting, first ?? parting)))
            }
            // What was told to be lost the other data set may have: a failover may be undone.
            if interest.lostUpTo > parting { interest.rereadAfter = min(parting, interest.rereadAfter ?? parting) }
            guard interest.last > parting, !FeedMachine.has(interest.last, marker) else { continue }
            var heard = HeardBefore(
                upTo: interest.last, ids[interest.number] ?? [], forgotten: recent.forgotten)
            if let older = interest.heard { heard.add(older) }
            interest.heard = heard
            let reread = max(parting, recent.forgotten)
            interest.rereadAfter = min(reread, interest.rereadAfter ?? reread)
        }
        reports.beginAnew()
        for item in lost where item.event.id.milliseconds >= born { reports.add(item.event, since: item.since) }
        // Which of its ids are news to streams is not known where this node did not know the one before. A former master that
        // was promoted again may have gone on beside its successor, too.
        actions.append(.changed(began: lineage != nil ? began : .max))
        report()
        return true
    }

    /// Whether the newest event of a log is this one. Another node may have said that it should be.
    private static func has(_ id: EventID, _ marker: LogMarker?) -> Bool {
        marker.map { marker in marker.id == id && !marker.holes.contains { $0.upTo == id } } ?? false
    }

    /// The log seems to lack this event. Whether it does, the broker says when it is asked with the next tick.
    mutating func stray(_ event: HeardEvent, of interest: Interest, since known: EventID) {
        // One for which there is no room is not marked, so that it is asked about should it be noticed again.
        guard !interest.strays.contains(event.id), strays.add(event, since: known) else { return }
        interest.strays(event.id)
    }

    /// The log seems to lack the event that came last.
    ///
    /// - Parameter known: the newest that it has. Of what this node has had, it lacks all that is later.
    mutating func lastStrays(of interest: Interest, behind known: EventID) {
        let last = HeardEvent(interest.target, interest.last, ends: interest.lastEnds)
        // Whoever forges predecessors does not make the node look through what it has heard for each of them.
        guard !interest.strays.contains(last.id), strays.hasRoom(for: last) else { return }
        // What came of the target when it was listened to before is remembered under another number.
        let isAllKnown = former.newest(of: interest.target).map { $0.id <= known } ?? true
        let first = isAllKnown ? recent.first(of: interest.number, after: known) : nil
        stray(last, of: interest, since: first?.before ?? known)
    }

    /// Streams find out from it whether another server gave out the cursor that their client came with.
    mutating func tell(_ lineage: Lineage) {
        guard !lineage.isEmpty, lineage != toldLineage else { return }
        toldLineage = lineage
        actions.append(.lineage(lineage))
    }

    mutating func report() {
        guard isConnected, let report = reports.next() else { return }
        actions.append(.report(report))
    }

    /// - Parameter isTaken: the broker knows it now; else it is told again.
    package mutating func reported(_ isTaken: Bool) {
        reports.answered(isTaken)
        if isTaken { report() }
    }

    /// Some node has found out that the data set lacks what it had of a target.
    mutating func lost(_ hole: Hole, of interest: Interest, now: NIODeadline) {
        guard !serverTime.isFuture(hole.upTo, clock: reading, now: now) else { return }
        // The repair has found it in the marker while this was held back.
        if repair != nil, interest.knows(hole) { return }
        interest.learn(hole)
        tell(hole, of: interest)
    }

    /// A marker was read, and its holes may not have been told here. Whoever reads the log does not tell them: a stream that read
    /// it before anybody knew of a hole takes a gap before its beginning for one that it has found itself.
    ///
    /// - Parameter isNew: it is the first time that something of this data set is read.
    mutating func learn(_ marker: LogMarker?, of interest: Interest, isNew: Bool = false) {
        for hole in interest.learn(marker?.holes ?? [], isNew: isNew) { tell(hole, of: interest) }
    }

    private mutating func tell(_ hole: Hole, of interest: Interest) {
        let wasHeard =
            interest.heard?.contains(hole.upTo) ?? false || interest.last == hole.upTo
            || interest.strays.contains(hole.upTo) || recent.contains(hole.upTo, interest.number)
        let began = lineage?.newestParting?.began ?? .max
        let explained = wasHeard ? explain(hole, of: interest) : hole
        actions.append(.hole(explained, of: interest.target, wasHeard: wasHeard, began: began))
        if !wasHeard { interest.lost(hole) }
    }

    /// Says of the holes that a log's marker names which events each lacks, where that is known.
    package mutating func explain(_ marker: LogMarker, of target: Target) -> LogMarker {
        guard !marker.holes.isEmpty, let interest = interests[target] else { return marker }
        return LogMarker(id: marker.id, ends: marker.ends, holes: marker.holes.map { explain($0, of: interest) })
    }

    /// A hole lacks all that the feed has brought between its ends, if the last of that is its end.
    private mutating func explain(_ hole: Hole, of interest: Interest) -> Hole {
        guard let since = interest.coverage.since, since <= hole.after else { return hole }
        if let known = interest.explained(hole) { return known }
        guard searches < FeedMachine.searchesPerTick else { return hole }
        searches += 1
        var hole = hole
        let ids = recent.ids(of: interest.number, after: hole.after, upTo: hole.upTo)
        guard ids.contains(hole.upTo) else { return hole }
        hole.ids = ids
        interest.explain(hole)
        return hole
    }
}
