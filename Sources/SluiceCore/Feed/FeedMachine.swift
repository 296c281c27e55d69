// SPDX-License-Identifier: Apache-2.0
import DequeModule
import NIOCore

/// What one node has got from the broker: what has arrived, what is missing, what is held back, and what is read again.
///
/// Inputs change it; then ``next(now:)`` says what to do, until it returns nil. An event that is in its turn is the one
/// exception: ``received(_:for:now:)`` returns it, because nearly all are. No I/O; time is an argument.
///
/// How a loss is noticed: the connection is lost (`FeedMachine+Repair.swift`); an event names a predecessor that has not
/// come, or a log's marker one that should have (`FeedMachine+TargetRepair.swift`).
package struct FeedMachine: ~Copyable {
    /// In bytes.
    package struct Limits {
        /// Of an event that is live only. A logged one has passed the limit of whoever published it, and would come back
        /// from its log.
        package var event: Int
        /// What may be held back while the logs of the whole feed are read; of all single targets together, too.
        package var held = 64 << 20
        /// What may be held back of a single target.
        package var heldOfTarget = 2 << 20
        /// What a single target may bring in a second, and at once; 0: no limit.
        package var heardOfTarget = 0
        /// What was held back and is handed on in one turn of the loop.
        package var released = 1 << 20

        package init(event: Int) {
            self.event = event
        }
    }

    /// So many ticks without anything from the feed: it is connected and yet brings nothing.
    private static let silentTicksMax = 2
    /// Targets whose markers are compared with what has arrived, at each tick.
    private static let auditedPerTick = 512
    /// Reports that wait, at which no more strays are added.
    private static let reportsMax = 4096
    /// Repairs that one audit may begin; what else it has found is found again.
    private static let repairsPerAudit = 16
    /// What a repair may hold of the logs that it reads.
    static let replayBytes = 8 << 20

    let limits: Limits
    var interests = Interests()
    var actions: Deque<FeedAction> = []
    /// Repairs whose replay may have something to give.
    var advancing: Deque<RepairAttempt> = []
    private var attempts: UInt64 = 0
    /// The whole feed is being repaired, and everything that arrives is held back.
    var repair: FeedRepair?
    /// What is held back of single targets, in bytes.
    var heldOfTargets = 0
    /// When the data set began, in milliseconds since 1970; 0: not known yet.
    var born: UInt64 = 0
    /// Of the data set in which was heard what was heard; nil: not known yet.
    var lineage: Lineage?
    /// Nothing of this data set has been read yet: no repair has come to its end since it is known.
    var isNew = false
    var recent = RecentEvents()
    var former = FormerEvents()
    var reports = HeardReports()
    /// The lineage that streams were told last.
    var toldLineage = Lineage()
    var strays = Strays()
    /// For what holes lack, since the last tick.
    var searches = 0
    /// The highest reading of the clock up to which every event has been delivered. Nothing that an event could push, so
    /// it is what others are told.
    package internal(set) var reading = EventID.zero
    /// The first reading of the clock that a stream may have begun with.
    private(set) var firstMark: EventID?
    private(set) var isConnected = false
    private var hasHeard = true
    private var silentTicks = 0
    var serverTime = ServerTime()
    /// Events of these were dropped because they seemed to be from the future: the next reading shows whether they were.
    private var suspects: Set<Target> = []

    /// - Parameter wallClock: this machine's, in milliseconds since 1970.
    package init(limits: Limits, wallClock: UInt64, now: NIODeadline) {
        self.limits = limits
        serverTime.guess(wallClock, now: now)
    }

    /// What is held back, in bytes.
    package var heldBytes: Int { (repair?.held.bytes ?? 0) + heldOfTargets }

    /// Entries of all its tables: must not grow with what has come and gone.
    package var size: Int { interests.size + suspects.count + actions.count + advancing.count + reports.size }

    /// Strays and holes that it remembers: must not grow with how many of them somebody forges.
    package var claims: Int { interests.claims + strays.count }

    package var isIdle: Bool { actions.isEmpty && advancing.isEmpty }

    /// What is to be done next; nil: nothing before the next input.
    package mutating func next(now: NIODeadline) -> FeedAction? {
        while true {
            if let action = actions.popFirst() { return action }
            guard let attempt = advancing.first else { return nil }
            advance(attempt, now: now)
        }
    }

    // MARK: Who listens

    package func number(of target: Target) -> TargetNumber? { interests[target]?.number }

    /// What is to be told to a shard that begins to listen.
    package func coverage(of target: Target) -> Coverage { interests[target]?.coverage ?? .unknown }

    /// A shard begins to listen.
    ///
    /// - Parameter number: for a target that is new: one that no other target has had.
    /// - Returns: whether nobody listened before: then ask the broker, and call ``wanted(_:isConfirmed:)``.
    package mutating func listen(to target: Target, as number: TargetNumber, shard: Int) -> Bool {
        interests.join(target, as: number, shard: shard)
    }

    /// - Parameter isConfirmed: the broker's subscription has gone on since it was confirmed, so that nothing was missed.
    package mutating func wanted(_ target: Target, isConfirmed: Bool) {
        if isConfirmed { interests.confirm(target) } else { interests.beginAnew(target) }
    }

    /// - Returns: whether nobody listens any more, which the broker has to be told.
    package mutating func unlisten(to target: Target, shard: Int) -> Bool {
        interests.leave(target, shard: shard)
    }

    /// Somebody has read this of a target's log, and may have given it to a client, although the feed has not brought it: should
    /// the data set lose it, others have to be told.
    package mutating func read(_ id: EventID, ends: Bool, of target: Target, now: NIODeadline) {
        guard !serverTime.isFuture(id, clock: reading, now: now) else { return }
        interests[target]?.read(id, ends: ends)
    }

    /// What is published to this target from now on arrives.
    ///
    /// - Returns: the shards that have to be told.
    package mutating func confirmed(_ target: Target) -> Set<Int> {
        guard let interest = interests[target] else { return [] }
        interests.confirm(target)
        if interest.isPaused {
            interest.hearing?.goOn()
            // What was logged meanwhile is found missing, and read from the log.
            actions.append(.gap(Gap(from: nil, to: nil, targets: [target]), id: nil))
        }
        return interest.shards
    }

    /// Nothing of this target arrives any more.
    package mutating func gone(_ target: Target) {
        guard let interest = interests.remove(target) else { return }
        suspects.remove(target)
        if let newest = interest.heardLast ?? interest.readLast { former.append(newest) }
        heldOfTargets -= interest.repair?.held.bytes ?? 0
    }

    // MARK: What arrives

    /// The feed brings something, or the broker says why it can't be asked to.
    package mutating func isAlive() {
        hasHeard = true
    }

    /// A message as it came from a channel.
    ///
    /// - Returns: what to deliver now, before anything else; nil: not this, or not yet.
    package mutating func received(
        _ payload: UnsafeRawBufferPointer, for number: TargetNumber, now: NIODeadline
    ) -> Envelope? {
        hasHeard = true
        guard let interest = interests[number], hears(interest, bytes: payload.count, now: now) else { return nil }
        guard repair == nil else {
            hold(payload, for: number)
            return nil
        }
        guard let envelope = take(payload, of: interest, now: now) else { return nil }
        // What is to be told before it.
        guard actions.isEmpty else {
            actions.append(.deliver(envelope, ByteBuffer(bytes: payload), for: number))
            return nil
        }
        return envelope
    }

    /// Whether a message is taken. A target that brings too much is paused, because it makes all others wait; what Redis had
    /// sent of it before it stopped still arrives, and is dropped.
    private mutating func hears(_ interest: Interest, bytes: Int, now: NIODeadline) -> Bool {
        guard limits.heardOfTarget > 0 else { return true }
        if interest.hearing == nil { interest.hearing = Hearing(rate: limits.heardOfTarget, now: now) }
        if interest.isPaused { return false }
        guard let pause = interest.hearing?.take(bytes, now: now) else { return true }
        let target = interest.target
        // Without a reading of its own there is no place from which its log could be read later.
        if reading > .zero, interests.settle(interest, at: reading) {
            actions.append(.covered([interest.number], since: reading))
        }
        actions.append(.complain(.paused, about: target))
        actions.append(.gap(Gap(from: nil, to: nil, targets: [target]), id: nil))
        actions.append(.pause(target, for: pause))
        return false
    }

    /// A message whose turn has come.
    mutating func take(_ payload: UnsafeRawBufferPointer, of interest: Interest, now: NIODeadline) -> Envelope? {
        if let hole = Hole(notice: payload) {
            lost(hole, of: interest, now: now)
            return nil
        }
        do {
            let envelope = try Envelope(decoding: payload)
            // Before its predecessor is believed, and looked for.
            if let id = envelope.id, serverTime.isFuture(id, clock: reading, now: now) {
                suspects.insert(interest.target)
                actions.append(.complain(.future(id), about: interest.target))
                return nil
            }
            if interest.repair != nil {
                hold(payload, envelope, of: interest, now: now)
                return nil
            }
            if let previous = envelope.previous, let known = interest.known, previous > known {
                startRepair(of: interest, after: known, through: previous, end: nil, now: now)
                hold(payload, envelope, of: interest, now: now)
                return nil
            }
            return accept(envelope, bytes: payload.count - envelope.dataOffset, of: interest) ? envelope : nil
        } catch {
            actions.append(.complain(.malformed(error), about: interest.target))
            return nil
        }
    }

    /// An event of a broker that loses nothing.
    ///
    /// - Returns: whether to deliver it.
    package mutating func received(_ envelope: Envelope, bytes: Int, for number: TargetNumber) -> Bool {
        hasHeard = true
        guard let interest = interests[number] else { return false }
        return accept(envelope, bytes: bytes, of: interest)
    }

    private mutating func accept(_ envelope: borrowing Envelope, bytes: Int, of interest: Interest) -> Bool {
        if let id = envelope.id {
            if interest.isRepeated(id) { return false }
            if id <= interest.last {
                if recent.contains(id, interest.number) { return false }
                // What came before it on its own way was heard, or found missing.
                stray(HeardEvent(interest.target, id, ends: envelope.ends), of: interest, since: id.before)
            } else if let previous = envelope.previous, previous < interest.last {
                lastStrays(of: interest, behind: previous)
            }
            if let previous = envelope.previous { miss(previous, of: interest) }
            interest.arrived(id, ends: envelope.ends)
            recent.append(id, interest.number)
        } else if bytes > limits.event {
            actions.append(.complain(.oversized(bytes), about: interest.target))
            return false
        }
        return true
    }

    /// An event has followed on this one. If that is older than others and has not come, another server has given it out, or
    /// it was published while this node repaired itself beside a server that was ahead: no repair looks for it.
    private mutating func miss(_ previous: EventID, of interest: Interest) {
        guard previous < interest.last, let since = interest.coverage.since,
            previous > max(since, interest.lostUpTo, recent.incompleteUpTo), !recent.contains(previous, interest.number)
        else { return }
        // Up to the parting there was one server only, and the chain was whole.
        let parting = lineage?.newestParting?.upTo ?? since
        let start = parting < previous ? max(since, parting) : since
        actions.append(.gap(Gap(from: start, to: previous, targets: [interest.target]), id: nil))
        interest.lost(upTo: previous)
    }

    // MARK: Time

    /// What the broker's own clock says.
    package mutating func received(serverTime time: UInt64, asked: NIODeadline) {
        serverTime.read(time, asked: asked)
    }

    /// A stream may begin with this reading of the clock.
    package mutating func streamBegins(after reading: EventID) {
        firstMark = firstMark ?? reading
    }

    /// A reading of the clock that came through the feed: every earlier event has come before it.
    package mutating func received(clock: EventID, born: UInt64) {
        hasHeard = true
        guard repair == nil else { return }
        // The logs were emptied, and the connection has stayed: nothing of what came before was lost by that.
        if self.born != 0, born != self.born { interests.forget(upTo: clock) }
        self.born = born
        reading = max(reading, clock)
        if isConnected { actions.append(.ready) }
        actions.append(.reading(reading, born: born))
        if reading > .zero {
            let covered = interests.settle(at: reading)
            if !covered.isEmpty { actions.append(.covered(covered, since: reading)) }
        }
        // The clock may have leapt: then an event that seemed to be from the future is in its log.
        let audited = Array(suspects.prefix(FeedMachine.auditedPerTick))
        suspects.subtract(audited)
        audit(audited)
    }

    /// Every two seconds.
    package mutating func tick(now: NIODeadline, wallClock: UInt64) {
        serverTime.guess(wallClock, now: now)
        silentTicks = hasHeard ? 0 : silentTicks + 1
        hasHeard = false
        if isConnected, silentTicks > FeedMachine.silentTicksMax {
            silentTicks = 0
            actions.append(.reconnect)
        }
        actions.append(.tick(known: reading))
        reports.tick()
        searches = 0
        let events = strays.takeAll()
        // Whoever forges them does not fill the memory while Redis takes no reports.
        if reports.size < FeedMachine.reportsMax { for (event, since) in events { reports.add(event, since: since) } }
        report()
        audit(interests.nextToAudit(max: FeedMachine.auditedPerTick))
        // Redis did not say when it was asked, and where nobody listens nothing is audited.
        if isConnected, repair == nil, interests.isEmpty { askForLineage() }
    }

    // MARK: The connection

    /// The feed works, and every channel is confirmed.
    package mutating func connectionUp(now: NIODeadline) {
        isConnected = true
        silentTicks = 0
        // Before the first reading of the clock no stream can begin, and perhaps none ever will: Redis may lack the function.
        if repair != nil { return beginRepair(now: now) }
        actions.append(.tick(known: reading))
        if reading > .zero { actions.append(.ready) }
        askForLineage()
    }

    /// What the feed brings from now on leaves a hole.
    package mutating func connectionLost() {
        isConnected = false
        // No stream has begun. Whichever process gives out ids when the connection is back, none of them is a stranger's.
        if reading == .zero, firstMark == nil { lineage = nil }
        interests.interrupt()
        heldOfTargets = 0
        advancing.removeAll()
        let attempt = newAttempt(of: nil)
        repair = FeedRepair(attempt: attempt)
    }

    mutating func newAttempt(of target: TargetNumber?) -> RepairAttempt {
        attempts += 1
        return RepairAttempt(target: target, count: attempts)
    }

    // MARK: Audit

    /// A message that was lost in silence is noticed at the next one of its target; where there is none, here: the
    /// newest ids that the broker knows are compared with what has arrived, some targets at a time.
    private mutating func audit(_ targets: [Target]) {
        guard isConnected, repair == nil, !targets.isEmpty else { return }
        actions.append(.readMarkers(MarkerRead(targets: targets, purpose: .audit(upTo: reading))))
    }

    /// The markers that were asked for.
    package mutating func markers(_ answer: ClockReading, of read: MarkerRead, now: NIODeadline) {
        switch read.purpose {
        case .repair(let attempt): repairMarkers(answer, of: read.targets, attempt, now: now)
        case .audit(let arrived):
            guard repair == nil else { return }
            if lineage == nil, !answer.lineage.isEmpty { lineage = answer.lineage }
            tell(answer.lineage)
            for (target, marker) in zip(read.targets, answer.markers) {
                guard let interest = interests[target] else { continue }
                learn(marker, of: interest)
                guard let marker, marker.id < interest.last, interest.last <= arrived else { continue }
                lastStrays(of: interest, behind: marker.id)
            }
            var started = 0
            for (target, marker) in zip(read.targets, answer.markers) where started < FeedMachine.repairsPerAudit {
                guard let marker, let interest = interests[target], let known = interest.known, marker.id > known,
                    marker.id <= arrived, interest.repair == nil, !interest.isPaused
                else { continue }
                started += 1
                startRepair(
                    of: interest, after: known, through: marker.id, end: marker.ends ? marker.id : nil, now: now)
            }
        }
    }

    package mutating func markersFailed(_ read: MarkerRead, now: NIODeadline) {
        if case .repair(let attempt) = read.purpose { repairFailed(attempt, now: now) }
    }
}
