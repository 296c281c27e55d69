// SPDX-License-Identifier: Apache-2.0
import DequeModule
import NIOCore
import SluiceCore

/// Which channels the feed is subscribed to, wants, or wants no more: what is to be sent to Redis next.
///
///     idle ──want──▶ subscribing ──confirmed──▶ subscribed ──release, linger──▶ unsubscribing ──confirmed──▶ gone
///
/// A channel that brings too much can be paused: it is unsubscribed, and subscribed again once the pause is over.
///
/// "Wanted again while unsubscribing" subscribes anew once Redis has confirmed the end; "gone while subscribing"
/// lingers from its confirmation on. No I/O; time is an argument.
package struct Subscriptions {
    /// One `SUBSCRIBE` of many thousand names makes replies that overrun Redis' output buffer limit.
    package static let namesPerCommandMax = 512
    /// Names that are sent and not yet confirmed.
    package static let unconfirmedMax = 2048

    private enum Wire {
        case idle
        case queued
        case subscribing
        case subscribed
        case unsubscribing
        /// Redis is to send nothing of it before its pause is over.
        case paused
        /// Redis did not let this user have it; until it is known that it does now, it is not asked for.
        case refused
    }

    private struct Channel {
        var isWanted: Bool
        var wire: Wire
        /// When an unwanted channel may be given up.
        var until: NIODeadline
        /// nil: it is not paused, nor to be.
        var pausedUntil: NIODeadline?
    }

    package enum Command: Equatable, Sendable {
        case subscribe([String])
        case unsubscribe([String])
    }

    private let linger: TimeAmount
    private var channels: [ExactText: Channel] = [:]
    private var toSubscribe: Deque<String> = []
    private var lingering: Deque<(name: String, until: NIODeadline)> = []
    /// Channels that are to be unsubscribed for a pause, and those of which it has begun: few, as each brings very much.
    private var toPause: Deque<String> = []
    private var paused: [String] = []
    private var unconfirmed = 0
    /// Commands that Redis has not confirmed in full, oldest first, with what is still to come of each.
    private var inFlight: Deque<(command: Command, left: Int)> = []
    /// Parts of a command that was refused as a whole.
    private var retries: Deque<[String]> = []
    private var refusedNames: Set<ExactText> = []
    /// Of the refused ones, those that are still to be looked at in this round.
    private var toCheck: Deque<ExactText> = []
    private var isConnected = false
    private var gone: [String] = []

    package init(linger: TimeAmount) {
        self.linger = linger
    }

    /// The channels that were given up since the last call: nothing of them arrives any more.
    package mutating func takeGone() -> [String] {
        defer { gone = [] }
        return gone
    }

    private mutating func drop(_ name: String) {
        channels[ExactText(name)] = nil
        refusedNames.remove(ExactText(name))
        gone.append(name)
    }

    /// Every wanted channel has been confirmed.
    package var isSettled: Bool {
        isConnected && unconfirmed == 0 && toSubscribe.isEmpty && retries.isEmpty
    }

    /// - Returns: whether Redis has confirmed the channel already. One that is paused counts as confirmed: what is lost of
    ///   it is told when the pause is over.
    package mutating func want(_ name: String) -> Bool {
        guard var channel = channels[ExactText(name)] else {
            channels[ExactText(name)] = Channel(isWanted: true, wire: .queued, until: .distantPast)
            toSubscribe.append(name)
            return false
        }
        channel.isWanted = true
        if channel.wire == .idle {
            channel.wire = .queued
            toSubscribe.append(name)
        }
        channels[ExactText(name)] = channel
        return channel.wire == .subscribed || channel.pausedUntil != nil
    }

    /// Redis is to send nothing of a channel before then. Once it does again, it confirms that.
    package mutating func pause(_ name: String, until: NIODeadline) {
        guard let channel = channels[ExactText(name)], channel.wire == .subscribed, channel.pausedUntil == nil
        else { return }
        channels[ExactText(name)]?.pausedUntil = until
        toPause.append(name)
    }

    package mutating func release(_ name: String, now: NIODeadline) {
        guard var channel = channels[ExactText(name)], channel.isWanted else { return }
        guard isConnected, channel.wire != .refused else {
            drop(name)
            return
        }
        channel.isWanted = false
        channel.until = now + linger
        channels[ExactText(name)] = channel
        lingering.append((name, channel.until))
    }

    /// - Returns: whether somebody waits for this confirmation.
    package mutating func subscribed(_ name: String, now: NIODeadline) -> Bool {
        guard var channel = channels[ExactText(name)], channel.wire == .subscribing else { return false }
        noteReply()
        channel.wire = .subscribed
        if !channel.isWanted {
            channel.until = now + linger
            lingering.append((name, channel.until))
        }
        channels[ExactText(name)] = channel
        return channel.isWanted
    }

    package mutating func unsubscribed(_ name: String) {
        guard var channel = channels[ExactText(name)], channel.wire == .unsubscribing else { return }
        noteReply()
        if channel.pausedUntil != nil {
            channel.wire = .paused
            channels[ExactText(name)] = channel
            paused.append(name)
        } else if channel.isWanted {
            channel.wire = .queued
            channels[ExactText(name)] = channel
            toSubscribe.append(name)
        } else {
            drop(name)
        }
    }

    /// One name of the oldest command is settled.
    private mutating func noteReply() {
        unconfirmed -= 1
        guard !inFlight.isEmpty else { return }
        inFlight[inFlight.startIndex].left -= 1
        if inFlight.first?.left == 0 { inFlight.removeFirst() }
    }

    /// Redis has refused the oldest command, and with it all its names, as for one channel that this user may not have.
    ///
    /// The names are tried again in halves, so that one that is refused does not make the node deaf to the others.
    ///
    /// - Returns: the name that was refused, if it stood alone. It is not asked for again before it is ``permitted(_:)``.
    package mutating func refused() -> String? {
        guard let (command, left) = inFlight.popFirst(), case .subscribe(let names) = command else { return nil }
        unconfirmed -= left
        guard names.count > 1 else {
            refuse(names[0])
            return names[0]
        }
        for name in names { channels[ExactText(name)]?.wire = .queued }
        retries.append(Array(names[..<(names.count / 2)]))
        retries.append(Array(names[(names.count / 2)...]))
        return nil
    }

    /// Redis could not carry out the oldest command just now: its names are asked for again.
    package mutating func postponed(now: NIODeadline) {
        guard let (command, left) = inFlight.popFirst() else { return }
        unconfirmed -= left
        switch command {
        case .subscribe(let names):
            for name in names { channels[ExactText(name)]?.wire = .queued }
            toSubscribe.append(contentsOf: names)
        case .unsubscribe(let names):
            for name in names {
                channels[ExactText(name)]?.wire = .subscribed
                if channels[ExactText(name)]?.pausedUntil == nil {
                    lingering.append((name, now))
                } else {
                    toPause.append(name)
                }
            }
        }
    }

    private mutating func refuse(_ name: String) {
        guard let channel = channels[ExactText(name)] else { return }
        guard channel.isWanted else { return drop(name) }
        channels[ExactText(name)]?.wire = .refused
        refusedNames.insert(ExactText(name))
    }

    /// How many channels Redis does not let this user have.
    package var refusedCount: Int { refusedNames.count }

    /// Refused channels of which somebody has to find out whether they are permitted by now: each in its turn.
    package mutating func nextToCheck(max count: Int) -> [String] {
        if toCheck.isEmpty { toCheck.append(contentsOf: refusedNames) }
        var names: [String] = []
        while names.count < count, let name = toCheck.popFirst() {
            if refusedNames.contains(name) { names.append(name.text) }
        }
        return names
    }

    /// Redis lets this user have these by now: they are asked for again.
    package mutating func permitted(_ names: [String]) {
        for name in names where refusedNames.remove(ExactText(name)) != nil {
            channels[ExactText(name)]?.wire = isConnected ? .queued : .idle
            if isConnected { toSubscribe.append(name) }
        }
    }

    /// A new connection knows no subscription: all that is wanted is asked for again, but for what was refused.
    package mutating func connected() {
        isConnected = true
        unconfirmed = 0
        toSubscribe.removeAll()
        lingering.removeAll()
        inFlight.removeAll()
        retries.removeAll()
        toPause.removeAll()
        for (name, channel) in channels where channel.wire != .refused && channel.wire != .paused {
            if channel.isWanted {
                channels[name]?.wire = .queued
                toSubscribe.append(name.text)
            } else {
                drop(name.text)
            }
        }
    }

    package mutating func disconnected() {
        isConnected = false
        for (name, channel) in channels where channel.wire != .refused && channel.wire != .paused {
            channels[name]?.wire = channel.pausedUntil == nil ? .idle : .paused
            if channel.pausedUntil != nil { paused.append(name.text) }
        }
        toSubscribe.removeAll()
        unconfirmed = 0
    }

    /// The next command to send; nil if there is none, or if Redis has to confirm some first.
    package mutating func next(now: NIODeadline) -> Command? {
        guard isConnected, unconfirmed + Subscriptions.namesPerCommandMax <= Subscriptions.unconfirmedMax
        else { return nil }
        endPauses(now: now)
        guard let command = subscribeCommand() ?? unsubscribeCommand(now: now) else { return nil }
        switch command {
        case .subscribe(let names), .unsubscribe(let names):
            unconfirmed += names.count
            inFlight.append((command, names.count))
        }
        return command
    }

    private mutating func endPauses(now: NIODeadline) {
        guard !paused.isEmpty else { return }
        var rest: [String] = []
        for name in paused {
            guard let channel = channels[ExactText(name)], channel.wire == .paused, let until = channel.pausedUntil
            else { continue }
            if until > now {
                rest.append(name)
            } else if channel.isWanted {
                channels[ExactText(name)]?.pausedUntil = nil
                channels[ExactText(name)]?.wire = .queued
                toSubscribe.append(name)
            } else {
                drop(name)
            }
        }
        paused = rest
    }

    private mutating func subscribeCommand() -> Command? {
        while let part = retries.popFirst() {
            let names = part.filter { take($0) }
            if !names.isEmpty { return .subscribe(names) }
        }
        var names: [String] = []
        while names.count < Subscriptions.namesPerCommandMax, let name = toSubscribe.popFirst() {
            if take(name) { names.append(name) }
        }
        return names.isEmpty ? nil : .subscribe(names)
    }

    /// Whether a name that was queued is still to be sent.
    private mutating func take(_ name: String) -> Bool {
        guard let channel = channels[ExactText(name)], channel.wire == .queued else { return false }
        guard channel.isWanted else {
            drop(name)
            return false
        }
        channels[ExactText(name)]?.wire = .subscribing
        return true
    }

    private mutating func unsubscribeCommand(now: NIODeadline) -> Command? {
        var names: [String] = []
        while names.count < Subscriptions.namesPerCommandMax, let name = toPause.popFirst() {
            guard channels[ExactText(name)]?.wire == .subscribed else { continue }
            channels[ExactText(name)]?.wire = .unsubscribing
            names.append(name)
        }
        while names.count < Subscriptions.namesPerCommandMax, let first = lingering.first, first.until <= now {
            lingering.removeFirst()
            guard let channel = channels[ExactText(first.name)], !channel.isWanted, channel.wire == .subscribed,
                channel.until <= now
            else { continue }
            channels[ExactText(first.name)]?.wire = .unsubscribing
            names.append(first.name)
        }
        return names.isEmpty ? nil : .unsubscribe(names)
    }
}
