// SPDX-License-Identifier: Apache-2.0
import DequeModule
import NIOCore

/// Which channels the feed is subscribed to, wants, or wants no more: what is to be sent to Redis next.
///
///     idle ──want──▶ subscribing ──confirmed──▶ subscribed ──release, linger──▶ unsubscribing ──confirmed──▶ gone
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
    }

    private struct Channel {
        var isWanted: Bool
        var wire: Wire
        /// When an unwanted channel may be given up.
        var until: NIODeadline
    }

    package enum Command: Equatable, Sendable {
        case subscribe([String])
        case unsubscribe([String])
    }

    private let linger: TimeAmount
    private var channels: [ChannelName: Channel] = [:]
    private var toSubscribe: Deque<String> = []
    private var lingering: Deque<(name: String, until: NIODeadline)> = []
    private var unconfirmed = 0
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
        channels[ChannelName(name)] = nil
        gone.append(name)
    }

    /// Every wanted channel has been confirmed.
    package var isSettled: Bool {
        isConnected && unconfirmed == 0 && toSubscribe.isEmpty
    }

    /// - Returns: whether Redis has confirmed the channel already.
    package mutating func want(_ name: String) -> Bool {
        guard var channel = channels[ChannelName(name)] else {
            channels[ChannelName(name)] = Channel(isWanted: true, wire: .queued, until: .distantPast)
            toSubscribe.append(name)
            return false
        }
        channel.isWanted = true
        if channel.wire == .idle {
            channel.wire = .queued
            toSubscribe.append(name)
        }
        channels[ChannelName(name)] = channel
        return channel.wire == .subscribed
    }

    package mutating func release(_ name: String, now: NIODeadline) {
        guard var channel = channels[ChannelName(name)], channel.isWanted else { return }
        guard isConnected else {
            drop(name)
            return
        }
        channel.isWanted = false
        channel.until = now + linger
        channels[ChannelName(name)] = channel
        lingering.append((name, channel.until))
    }

    /// - Returns: whether somebody waits for this confirmation.
    package mutating func subscribed(_ name: String, now: NIODeadline) -> Bool {
        guard var channel = channels[ChannelName(name)], channel.wire == .subscribing else { return false }
        unconfirmed -= 1
        channel.wire = .subscribed
        if !channel.isWanted {
            channel.until = now + linger
            lingering.append((name, channel.until))
        }
        channels[ChannelName(name)] = channel
        return channel.isWanted
    }

    package mutating func unsubscribed(_ name: String) {
        guard var channel = channels[ChannelName(name)], channel.wire == .unsubscribing else { return }
        unconfirmed -= 1
        if channel.isWanted {
            channel.wire = .queued
            channels[ChannelName(name)] = channel
            toSubscribe.append(name)
        } else {
            drop(name)
        }
    }

    /// A new connection knows no subscription: all that is wanted is asked for again.
    package mutating func connected() {
        isConnected = true
        unconfirmed = 0
        toSubscribe.removeAll()
        lingering.removeAll()
        for (name, channel) in channels {
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
        for name in channels.keys { channels[name]?.wire = .idle }
        toSubscribe.removeAll()
        unconfirmed = 0
    }

    /// The next command to send; nil if there is none, or if Redis has to confirm some first.
    package mutating func next(now: NIODeadline) -> Command? {
        guard isConnected, unconfirmed + Subscriptions.namesPerCommandMax <= Subscriptions.unconfirmedMax
        else { return nil }
        return subscribeCommand() ?? unsubscribeCommand(now: now)
    }

    private mutating func subscribeCommand() -> Command? {
        var names: [String] = []
        while names.count < Subscriptions.namesPerCommandMax, let name = toSubscribe.popFirst() {
            guard let channel = channels[ChannelName(name)], channel.wire == .queued else { continue }
            if channel.isWanted {
                channels[ChannelName(name)]?.wire = .subscribing
                names.append(name)
            } else {
                drop(name)
            }
        }
        unconfirmed += names.count
        return names.isEmpty ? nil : .subscribe(names)
    }

    private mutating func unsubscribeCommand(now: NIODeadline) -> Command? {
        var names: [String] = []
        while names.count < Subscriptions.namesPerCommandMax, let first = lingering.first, first.until <= now {
            lingering.removeFirst()
            guard let channel = channels[ChannelName(first.name)], !channel.isWanted, channel.wire == .subscribed,
                channel.until <= now
            else { continue }
            channels[ChannelName(first.name)]?.wire = .unsubscribing
            names.append(first.name)
        }
        unconfirmed += names.count
        return names.isEmpty ? nil : .unsubscribe(names)
    }
}
