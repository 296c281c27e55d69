// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// The targets that a broker listens to, by the names of their channels.
struct ChannelNumbers {
    private var channels: [ExactText: (target: Target, number: TargetNumber)] = [:]
    /// The channel of the last event, and its number.
    private var lastName: [UInt8] = []
    private var lastNumber: TargetNumber?

    mutating func add(_ channel: String, _ target: Target, _ number: TargetNumber) {
        channels[ExactText(channel)] = (target, number)
        lastNumber = nil
    }

    mutating func remove(_ channel: String) -> Target? {
        lastNumber = nil
        return channels.removeValue(forKey: ExactText(channel))?.target
    }

    func target(_ channel: String) -> Target? {
        channels[ExactText(channel)]?.target
    }

    /// nil for a channel of no target.
    mutating func number(_ channel: UnsafeRawBufferPointer) -> TargetNumber? {
        // A burst is mostly of one channel: its bytes are compared before its name is made.
        if let lastNumber, lastName.elementsEqual(channel) { return lastNumber }
        guard let number = channels[ExactText(String(decoding: channel, as: UTF8.self))]?.number else { return nil }
        lastName.removeAll(keepingCapacity: true)
        lastName.append(contentsOf: channel)
        lastNumber = number
        return number
    }
}
