// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// The subscribing connection of a node to a Redis: which channels are served on it, and what is on its way to the node.
struct ModelLink {
    enum State {
        case down
        /// Channels are being confirmed.
        case half
        case up
    }

    private(set) var state = State.down
    private var wire: [ModelMessage] = []
    /// Channels that Redis serves, is to serve, or is to serve no more.
    private var subscribed: Set<Target> = []
    private var toSubscribe: [Target] = []
    private var toUnsubscribe: [Target] = []

    mutating func connect(to targets: [Target]) {
        state = .half
        toSubscribe = targets
    }

    /// What was on its way is lost.
    mutating func disconnect() { self = ModelLink() }

    /// - Returns: the last channel of a new connection has just been confirmed.
    mutating func settle() -> Bool {
        guard state == .half, toSubscribe.isEmpty else { return false }
        let isWaiting = wire.contains { if case .confirmed = $0 { true } else { false } }
        guard !isWaiting else { return false }
        state = .up
        return true
    }

    // MARK: What the node asks for

    func isServed(_ target: Target) -> Bool { subscribed.contains(target) }

    mutating func want(_ target: Target) { toSubscribe.append(target) }

    mutating func giveUp(_ target: Target) { toUnsubscribe.append(target) }

    /// One that is about to be given up stays.
    mutating func keep(_ target: Target) { toUnsubscribe.removeAll { $0 == target } }

    /// The node takes nothing of a channel any more, without Redis being asked.
    ///
    /// - Returns: false if it was not served: one that is about to be given up, or was wanted again too late, is not Redis'
    ///   any more.
    mutating func pause(_ target: Target) -> Bool {
        guard subscribed.remove(target) != nil else { return false }
        keep(target)
        return true
    }

    // MARK: What Redis does

    /// An event of a channel that is not served goes nowhere.
    mutating func send(_ message: ModelMessage) {
        if case .event(let target, _) = message, !isServed(target) { return }
        wire.append(message)
    }

    /// - Returns: there was a command to carry out.
    @discardableResult
    mutating func subscribe() -> Bool {
        guard let target = toSubscribe.popFirst() else { return false }
        subscribed.insert(target)
        send(.confirmed(target))
        return true
    }

    /// - Returns: there was a command to carry out.
    @discardableResult
    mutating func unsubscribe() -> Bool {
        guard let target = toUnsubscribe.popFirst() else { return false }
        if subscribed.remove(target) != nil { send(.unsubscribed(target)) }
        return true
    }

    var hasMessages: Bool { !wire.isEmpty }

    /// What arrives at the node.
    mutating func next() -> ModelMessage? { wire.popFirst() }
}

extension Array {
    mutating func popFirst() -> Element? { isEmpty ? nil : removeFirst() }
}
