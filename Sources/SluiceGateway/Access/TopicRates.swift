// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Synchronization

/// How many topics may be opened in a second by one address, and with one token: a stream's work is in its topics. All loops ask.
///
/// Names that the node has to ask Redis for have a rate of their own, for they cost Redis and every core of the node; of
/// others a node can serve many more.
package final class TopicRates: Sendable {
    package enum Refusal: Sendable {
        case topics
        case newTopics
    }

    private struct Rate {
        var addresses: AddressRate
        var holders: KeyedRate<String>

        init(_ rate: Int) {
            addresses = AddressRate(rate: rate)
            holders = KeyedRate(rate: rate)
        }

        /// The holder first: what one takes beyond its own rate must not be taken from others behind its address.
        mutating func take(_ count: Int, _ address: NetworkAddress?, _ holder: String?, now: NIODeadline) -> Bool {
            if let holder, holders.take(holder, count: count, now: now) != nil { return false }
            return address.map { addresses.take($0, count: count, now: now) } ?? true
        }
    }

    private struct Rates {
        /// nil: no limit.
        var all: Rate?
        var new: Rate?
    }

    private let rates: Mutex<Rates>
    private let countsLoopback: Bool

    /// - Parameters:
    ///   - perSecond: 0: no limit, as for `newPerSecond`.
    ///   - countsLoopback: loopback addresses are no load balancer's.
    package init(perSecond: Int, newPerSecond: Int, countsLoopback: Bool) {
        rates = Mutex(
            Rates(
                all: perSecond > 0 ? Rate(perSecond) : nil, new: newPerSecond > 0 ? Rate(newPerSecond) : nil))
        self.countsLoopback = countsLoopback
    }

    /// - Parameters:
    ///   - holder: whose right it is; nil: everybody's.
    ///   - new: how many of the topics Redis has to be asked for.
    package func admit(
        address: NetworkAddress?, holder: String?, topics: Int, new: Int, now: NIODeadline
    ) -> Refusal? {
        let address = address.flatMap { countsLoopback || !$0.isLoopback ? $0 : nil }
        return rates.withLock { rates in
            if rates.all?.take(topics, address, holder, now: now) == false { return .topics }
            if new > 0, rates.new?.take(new, address, holder, now: now) == false { return .newTopics }
            return nil
        }
    }
}
