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

@Suite("The rate of publishing")
struct PublishRateTests {
    private static func time(_ milliseconds: Int64) -> NIODeadline {
        .uptimeNanoseconds(1_000_000_000) + .milliseconds(milliseconds)
    }

    @Test("is each token's own, and holds over time")
    func perToken() {
        var rate = PublishRate(rate: 10)
        for id in ["a", "b"] {
            let taken = (0..<100).reduce(0) { sum, second in
                sum
                    + (0..<30).filter { _ in rate.take(id, count: 1, now: Self.time(Int64(second) * 1000)) == nil }
                    .count
            }
            #expect(taken == 1000, "100 seconds at 10 a second")
        }
    }

    @Test("says when to come back, and is right", arguments: [1, 3, 10_000, 100_000_000])
    func wait(limit: Int) throws {
        var rate = PublishRate(rate: limit)
        var now = Self.time(0)
        for count in [limit, limit, 1, limit, max(1, limit / 3), limit] {
            while let wait = rate.take("a", count: count, now: now) {
                #expect(wait > .zero && wait <= .milliseconds(1001))
                #expect(rate.take("a", count: count, now: now + wait - .microseconds(10)) != nil, "not earlier")
                now = now + wait
                let again = rate.take("a", count: count, now: now)
                #expect(again == nil, "\(count) after \(wait.nanoseconds) ns")
                if again == nil { break }
            }
        }
        #expect(now - Self.time(0) > .seconds(3))
    }

    @Test("lets a request through that is larger than a second's worth, and has it waited for")
    func debt() throws {
        var rate = PublishRate(rate: 100)
        #expect(rate.take("a", count: 1000, now: Self.time(0)) == nil)
        let wait = rate.take("a", count: 1, now: Self.time(0))
        #expect(try #require(wait) > .seconds(9))
        #expect(rate.take("a", count: 1, now: Self.time(9000)) != nil)
        #expect(rate.take("a", count: 1, now: Self.time(9020)) == nil)
        #expect(rate.take("b", count: 1, now: Self.time(0)) == nil)
    }

    @Test("needs memory only for tokens that publish now")
    func forgets() {
        var rate = PublishRate(rate: 1)
        for number in 0..<50_000 {
            #expect(rate.take("\(number)", count: 1, now: Self.time(Int64(number) * 10)) == nil)
        }
        #expect(rate.idCount <= 2048)
    }

    @Test("has bounded memory also if all of them do; those used last are remembered")
    func bounded() {
        var rate = PublishRate(rate: 1, idsMax: 1000)
        for number in 0..<5000 {
            _ = rate.take("\(number)", count: 1000, now: Self.time(Int64(number)))
            #expect(rate.idCount <= 1000)
        }
        for number in 4500..<5000 {
            #expect(rate.take("\(number)", count: 1, now: Self.time(5000)) != nil, "\(number) still owes")
        }
    }
}
