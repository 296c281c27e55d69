// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import SluiceGateway
import Testing

@Suite("A quota")
struct QuotaTests {
    @Test("admits as many as the limit says, and another for each that is given back")
    func limit() {
        var quota = Quota<String>(limit: 2)
        #expect([quota.take("a"), quota.take("a"), quota.take("a"), quota.take("b")] == [true, true, false, true])
        quota.give("a")
        #expect([quota.take("a"), quota.take("a")] == [true, false])
    }

    @Test("forgets who holds nothing, and gives nothing for what was never taken")
    func forgets() {
        var quota = Quota<Int>(limit: 1)
        #expect((0..<1000).filter { quota.take($0) }.count == 1000)
        #expect(quota.keyCount == 1000)
        for key in 0..<1000 { quota.give(key) }
        #expect(quota.keyCount == 0)
        quota.give(1)
        #expect([quota.take(1), quota.take(1)] == [true, false])
    }
}

@Suite("Streams of an address and of a client")
struct StreamQuotasTests {
    private func address(_ text: String) throws -> NetworkAddress { try #require(NetworkAddress(text)) }

    @Test("are limited each by its own number")
    func limits() throws {
        let quotas = StreamQuotas(perAddress: 3, perClient: 2)
        let home = try address("192.0.2.1")
        let alice = try Target.client("alice")
        #expect(quotas.admit(address: home, client: alice) == nil)
        #expect(quotas.admit(address: try address("192.0.2.2"), client: alice) == nil)
        #expect(quotas.admit(address: try address("192.0.2.3"), client: alice) == .client)
        #expect(quotas.admit(address: home, client: nil) == nil)
        #expect(quotas.admit(address: home, client: try .client("bob")) == nil)
        #expect(quotas.admit(address: home, client: nil) == .address)
        #expect(quotas.admit(address: nil, client: nil) == nil, "an unknown address is not limited")
    }

    @Test("that are refused for one reason are not counted for the other")
    func allOrNothing() throws {
        let quotas = StreamQuotas(perAddress: 2, perClient: 1)
        let home = try address("192.0.2.1")
        let alice = try Target.client("alice")
        #expect(quotas.admit(address: home, client: alice) == nil)
        for _ in 0..<10 { #expect(quotas.admit(address: home, client: alice) == .client) }
        #expect(quotas.admit(address: home, client: nil) == nil)
        #expect(quotas.admit(address: home, client: try .client("bob")) == .address)
        quotas.release(address: home, client: nil)
        #expect(quotas.admit(address: home, client: try .client("bob")) == nil, "bob was not counted when refused")
    }

    @Test("make room when they are released, also after a thousand turns")
    func release() throws {
        let quotas = StreamQuotas(perAddress: 1, perClient: 1)
        let home = try address("192.0.2.1")
        let alice = try Target.client("alice")
        for _ in 0..<1000 {
            #expect(quotas.admit(address: home, client: alice) == nil)
            #expect(quotas.admit(address: home, client: alice) == .address)
            quotas.release(address: home, client: alice)
        }
    }

    @Test("of one IPv6 network count together")
    func network() throws {
        let quotas = StreamQuotas(perAddress: 1, perClient: 0)
        #expect(quotas.admit(address: try address("2001:db8::1"), client: nil) == nil)
        #expect(quotas.admit(address: try address("2001:db8::2"), client: nil) == .address)
        #expect(quotas.admit(address: try address("2001:db8:0:1::1"), client: nil) == nil)
        quotas.release(address: try address("2001:db8::3"), client: nil)
        #expect(quotas.admit(address: try address("2001:db8::2"), client: nil) == nil)
    }

    @Test("of one IPv6 site are 16 times as many as of one of its networks, and all of a tunnel are one address'")
    func site() throws {
        let quotas = StreamQuotas(perAddress: 2, perClient: 0)
        func admitted(_ addresses: [String]) throws -> [NetworkAddress] {
            try addresses.map { try address($0) }.filter { quotas.admit(address: $0, client: nil) == nil }
        }
        let networks = (0..<100).map { "2001:db8:1:\(String($0, radix: 16))::1" }
        let held = try admitted(networks + networks)
        #expect(held.count == 32)
        #expect(try admitted(["2001:db8:2::1", "2001:db8:2::2", "2001:db8:2::3"]).count == 2, "another site")
        for address in held { quotas.release(address: address, client: nil) }
        #expect(try admitted(networks).count == 32, "refused ones were not counted")
        #expect(try admitted((0..<100).map { "2002:c000:201:\(String($0, radix: 16))::1" } + ["192.0.2.1"]).count == 2)
    }

    @Test("of a loopback address count only where the limit was given; 0 is no limit")
    func loopback() throws {
        func admitted(_ text: String, perAddress: Int?) throws -> Int {
            let quotas = StreamQuotas(perAddress: perAddress, perClient: 0)
            let address = try address(text)
            return (0..<1100).filter { _ in quotas.admit(address: address, client: nil) == nil }.count
        }
        for text in ["127.0.0.1", "::1"] {
            #expect(try admitted(text, perAddress: nil) == 1100)
            #expect(try admitted(text, perAddress: 5) == 5)
        }
        #expect(try admitted("192.0.2.1", perAddress: nil) == StreamQuotas.standardPerAddress)
        #expect(try admitted("192.0.2.1", perAddress: 5) == 5)
        #expect(try admitted("192.0.2.1", perAddress: 0) == 1100)
    }
}

@Suite("Rates by key")
struct KeyedRateTests {
    private static func time(_ milliseconds: Int64) -> NIODeadline {
        .uptimeNanoseconds(1_000_000_000) + .milliseconds(milliseconds)
    }

    @Test("are each key's own, hold over time, and need memory only for those who use them now")
    func perKey() {
        var rate = KeyedRate<Int>(rate: 10)
        for key in 0..<2 {
            let taken = (0..<100).reduce(0) { sum, second in
                sum + (0..<30).count { _ in rate.take(key, count: 1, now: Self.time(second * 1000)) == nil }
            }
            #expect(taken == 1000, "100 seconds at 10 a second")
        }
        for key in 0..<50_000 { #expect(rate.take(key, count: 1, now: Self.time(200_000 + Int64(key) * 10)) == nil) }
        #expect(rate.keyCount <= 2048)
    }

    @Test("have bounded memory; those that were used last are remembered")
    func bounded() {
        var rate = KeyedRate<Int>(rate: 1, keysMax: 1000)
        for key in 0..<5000 {
            _ = rate.take(key, count: 1000, now: Self.time(Int64(key)))
            #expect(rate.keyCount <= 1000)
        }
        for key in 4500..<5000 { #expect(rate.take(key, count: 1, now: Self.time(5000)) != nil, "\(key) still owes") }
    }

    @Test("of addresses: a /64 is one, and a /48 has 16 times as much")
    func addresses() throws {
        var rate = AddressRate(rate: 5)
        func taken(_ text: String, _ count: Int) throws -> Int {
            let address = try #require(NetworkAddress(text))
            return (0..<count).count { _ in rate.take(address, count: 1, now: Self.time(0)) }
        }
        #expect(try taken("192.0.2.1", 10) == 5)
        #expect(try taken("192.0.2.2", 10) == 5)
        let networks = try (0..<100).reduce(0) { try $0 + taken("2001:db8:1:\(String($1, radix: 16))::1", 10) }
        #expect(networks == 80)
        #expect(try taken("2001:db8:2::1", 10) == 5)
    }

    @Test("of topics: by address and by token, new names apart; who is over its own takes nothing from its neighbours")
    func topics() throws {
        let rates = TopicRates(perSecond: 100, newPerSecond: 10, countsLoopback: true)
        let home = try #require(NetworkAddress("192.0.2.1"))
        func admit(_ address: NetworkAddress?, _ holder: String?, _ topics: Int, new: Int = 0) -> TopicRates.Refusal? {
            rates.admit(address: address, holder: holder, topics: topics, new: new, now: Self.time(0))
        }
        #expect((0..<20).count { _ in admit(home, nil, 1, new: 1) == nil } == 10)
        #expect(admit(home, nil, 1, new: 1) == .newTopics)
        #expect(admit(home, nil, 50) == nil, "names that the node has are still there")
        #expect(admit(home, nil, 50) == .topics)
        // One token at many addresses.
        let admitted = (0..<50).count { admit(NetworkAddress(ipv4: UInt32($0)), "ann", 1, new: 1) == nil }
        #expect(admitted == 10)
        #expect(admit(NetworkAddress(ipv4: 1), "bob", 1, new: 1) == nil)
        // One token of many behind an address.
        let office = try #require(NetworkAddress("198.51.100.1"))
        #expect((0..<500).count { _ in admit(office, "eve", 1) == nil } == 100)
        #expect(admit(office, "ann", 1) == .topics, "eve took the office's")
        let other = try #require(NetworkAddress("198.51.100.2"))
        for _ in 0..<500 { _ = admit(other, "eve", 1) }
        #expect(admit(other, "carl", 100) == nil, "eve had taken all of her own")
    }

    @Test("of topics don't count where they are 0, nor for loopback unless it is wanted")
    func unlimited() throws {
        let here = try #require(NetworkAddress("127.0.0.1"))
        func admitted(_ rates: TopicRates, _ address: NetworkAddress?) -> Int {
            (0..<100).count { _ in
                rates.admit(address: address, holder: nil, topics: 10, new: 10, now: Self.time(0)) == nil
            }
        }
        #expect(admitted(TopicRates(perSecond: 0, newPerSecond: 0, countsLoopback: true), here) == 100)
        #expect(admitted(TopicRates(perSecond: 0, newPerSecond: 50, countsLoopback: true), here) == 5)
        #expect(admitted(TopicRates(perSecond: 50, newPerSecond: 0, countsLoopback: true), here) == 5)
        #expect(admitted(TopicRates(perSecond: 50, newPerSecond: 50, countsLoopback: false), here) == 100)
        #expect(admitted(TopicRates(perSecond: 50, newPerSecond: 50, countsLoopback: true), nil) == 100)
    }
}

@Suite("The rate of publishing")
struct PublishRateTests {
    private static func time(_ milliseconds: Int64) -> NIODeadline {
        .uptimeNanoseconds(1_000_000_000) + .milliseconds(milliseconds)
    }

    @Test("is each token's own, and holds over time")
    func perToken() {
        var rate = PublishRate(events: 10, bytes: 0)
        for id in ["a", "b"] {
            let taken = (0..<100).reduce(0) { sum, second in
                sum
                    + (0..<30).filter { _ in
                        rate.take(id, events: 1, bytes: 0, now: Self.time(Int64(second) * 1000)) == nil
                    }
                    .count
            }
            #expect(taken == 1000, "100 seconds at 10 a second")
        }
    }

    @Test("says when to come back, and is right", arguments: [1, 3, 10_000, 100_000_000])
    func wait(limit: Int) throws {
        var rate = PublishRate(events: limit, bytes: 0)
        var now = Self.time(0)
        for count in [limit, limit, 1, limit, max(1, limit / 3), limit] {
            while let wait = rate.take("a", events: count, bytes: 0, now: now) {
                #expect(wait > .zero && wait <= .milliseconds(1001))
                #expect(
                    rate.take("a", events: count, bytes: 0, now: now + wait - .microseconds(10)) != nil, "not earlier")
                now = now + wait
                let again = rate.take("a", events: count, bytes: 0, now: now)
                #expect(again == nil, "\(count) after \(wait.nanoseconds) ns")
                if again == nil { break }
            }
        }
        #expect(now - Self.time(0) > .seconds(3))
    }

    @Test("lets a request through that is larger than a second's worth, and has it waited for")
    func debt() throws {
        var rate = PublishRate(events: 100, bytes: 0)
        #expect(rate.take("a", events: 1000, bytes: 0, now: Self.time(0)) == nil)
        let wait = rate.take("a", events: 1, bytes: 0, now: Self.time(0))
        #expect(try #require(wait) > .seconds(9))
        #expect(rate.take("a", events: 1, bytes: 0, now: Self.time(9000)) != nil)
        #expect(rate.take("a", events: 1, bytes: 0, now: Self.time(9020)) == nil)
        #expect(rate.take("b", events: 1, bytes: 0, now: Self.time(0)) == nil)
    }

    @Test("needs memory only for tokens that publish now")
    func forgets() {
        var rate = PublishRate(events: 1, bytes: 0)
        for number in 0..<50_000 {
            #expect(rate.take("\(number)", events: 1, bytes: 0, now: Self.time(Int64(number) * 10)) == nil)
        }
        #expect(rate.idCount <= 2048)
    }

    @Test("has bounded memory also if all of them do; those used last are remembered")
    func bounded() {
        var rate = PublishRate(events: 1, bytes: 0, idsMax: 1000)
        for number in 0..<5000 {
            _ = rate.take("\(number)", events: 1000, bytes: 0, now: Self.time(Int64(number)))
            #expect(rate.idCount <= 1000)
        }
        for number in 4500..<5000 {
            #expect(rate.take("\(number)", events: 1, bytes: 0, now: Self.time(5000)) != nil, "\(number) still owes")
        }
    }

    @Test("counts bytes beside events, and takes both or none")
    func bytes() throws {
        var rate = PublishRate(events: 10, bytes: 1000)
        #expect(rate.take("a", events: 0, bytes: 900, now: Self.time(0)) == nil)
        // Events are left, bytes are not: nothing is taken, or the second line would be refused as well.
        #expect(rate.take("a", events: 10, bytes: 200, now: Self.time(0)) != nil)
        #expect(rate.take("a", events: 10, bytes: 100, now: Self.time(0)) == nil)
        let wait = rate.take("a", events: 1, bytes: 500, now: Self.time(0))
        #expect(try #require(wait) > .milliseconds(499), "the longer of both times")
        #expect(rate.take("b", events: 1, bytes: 500, now: Self.time(0)) == nil)
    }

    @Test("has no limit where none is set, and remembers nobody then")
    func unlimited() {
        var rate = PublishRate(events: 0, bytes: 0)
        #expect((0..<1000).allSatisfy { rate.take("\($0)", events: 1 << 30, bytes: 1 << 40, now: Self.time(0)) == nil })
        #expect(rate.idCount == 0)
    }
}
