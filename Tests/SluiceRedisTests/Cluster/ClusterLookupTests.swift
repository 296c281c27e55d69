// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import SluiceRedis
import TestSupport
import Testing

@Suite("ClusterLookup")
struct ClusterLookupTests {
    private static func at(_ host: String) -> RedisAddress { RedisAddress(host: host, port: 1) }

    /// - Parameter masters: they have a partition each.
    private static func map(_ masters: String..., replicas: [String] = [], epoch: UInt64 = 1) -> ClusterMap {
        let owners = masters.map { ClusterMap.Master(id: $0, address: at($0)) }
        return ClusterMap(owners: owners, servers: (masters + replicas).map(at), epoch: epoch)
    }

    /// A look-up's state, with time and chance as a test gives them.
    private struct Run {
        var lookup: ClusterLookup
        var now = NIODeadline.uptimeNanoseconds(0)
        var generator = SeededGenerator(seed: 1)

        init(_ seeds: String...) {
            lookup = ClusterLookup(seeds: seeds.map(ClusterLookupTests.at))
        }

        mutating func woken() -> ClusterLookup.Action { lookup.woken(now: now, using: &generator) }

        mutating func wanted(trusting: String? = nil, doubting: String? = nil) -> NIODeadline? {
            lookup.wanted(
                trusting: trusting.map(ClusterLookupTests.at), doubting: doubting.map(ClusterLookupTests.at), now: now,
                using: &generator)
        }

        /// Afterwards it is the time up to which it has to wait.
        @discardableResult
        mutating func rest(isWhole: Bool = true) -> TimeAmount {
            let before = now
            if let time = lookup.rest(isWhole: isWhole, now: now, using: &generator) { now = time }
            return now - before
        }

        /// Asks all in turn, none of which answers, and returns them.
        mutating func round() -> [String] {
            var asked: [String] = []
            var action = woken()
            while case .ask(let address) = action {
                asked.append(address.host)
                action = lookup.failed(address)
            }
            #expect(action == .use(nil))
            return asked
        }

        /// Learns of these servers from a seed.
        mutating func learn(_ map: ClusterMap, by host: String) {
            guard case .ask = woken() else { return }
            #expect(lookup.answered(map, by: ClusterLookupTests.at(host)) == .use(map))
            rest()
        }
    }

    @Test("at first the seeds are asked in turn, one at a time, and the first answer is used")
    func seeds() {
        var run = Run("a", "b")
        #expect(run.woken() == .ask(ClusterLookupTests.at("a")))
        #expect(run.woken() == .ignore, "one at a time")
        #expect(run.lookup.failed(ClusterLookupTests.at("a")) == .ask(ClusterLookupTests.at("b")))
        let map = ClusterLookupTests.map("x", "y")
        #expect(run.lookup.answered(map, by: ClusterLookupTests.at("a")) == .ignore, "too late")
        #expect(run.lookup.answered(map, by: ClusterLookupTests.at("b")) == .use(map))
    }

    @Test("the master that answered last is asked first, then other masters, replicas and seeds; a doubted one last")
    func order() {
        var run = Run("a", "b")
        let map = ClusterLookupTests.map("x", "y", replicas: ["r"])
        run.learn(map, by: "a")
        guard case .ask(let first) = run.woken() else {
            Issue.record("it asks nobody")
            return
        }
        #expect(["x", "y"].contains(first.host), "a node is connected to masters, and to no other")
        #expect(run.lookup.answered(map, by: first) == .use(map))
        run.rest()
        var asked = run.round()
        #expect(asked.first == first.host && Set(asked.prefix(2)) == ["x", "y"])
        #expect(asked.dropFirst(2) == ["r", "a", "b"])
        run.rest(isWhole: false)
        _ = run.wanted(trusting: "y")
        asked = run.round()
        #expect(asked.first == "y" && asked.count == 5)
        run.rest(isWhole: false)
        _ = run.wanted(trusting: "y", doubting: "y")
        asked = run.round()
        #expect(asked.last == "y" && asked.count == 5)
    }

    @Test("a server that has missed a failover is not believed as long as one knows better")
    func epochs() {
        var run = Run("a")
        run.learn(ClusterLookupTests.map("x", "y", epoch: 7), by: "a")
        guard case .ask(let first) = run.woken(),
            case .ask(let second) = run.lookup.answered(ClusterLookupTests.map("q", epoch: 6), by: first)
        else {
            Issue.record("it asks nobody else")
            return
        }
        let map = ClusterLookupTests.map("x", "z", epoch: 8)
        #expect(run.lookup.answered(map, by: second) == .use(map))
    }

    @Test("if all say the same it is believed, because it is another cluster by now")
    func otherCluster() {
        var run = Run("a")
        run.learn(ClusterLookupTests.map("a", epoch: 7), by: "a")
        let map = ClusterLookupTests.map("a", epoch: 0)
        #expect(run.woken() == .ask(ClusterLookupTests.at("a")))
        #expect(run.lookup.answered(map, by: ClusterLookupTests.at("a")) == .use(map))
        run.rest()
        run.learn(ClusterLookupTests.map("a", epoch: 1), by: "a")
    }

    @Test(
        "what happens is looked at soon and after a random time; a storm of it is one look, and waits grow while it lasts"
    )
    func backoff() throws {
        var run = Run("a")
        run.learn(ClusterLookupTests.map("a"), by: "a")
        run.now = run.now - .milliseconds(1000)
        let start = run.now
        let first = run.wanted()
        let soon = try #require(first)
        #expect(soon > start && soon - start <= .milliseconds(50))
        for _ in 0..<100 { #expect(run.wanted() == nil) }
        run.now = soon
        #expect(run.woken() == .ask(ClusterLookupTests.at("a")))
        for _ in 0..<100 { #expect(run.wanted() == nil) }
        var waits: [TimeAmount] = []
        for _ in 0..<8 {
            _ = run.lookup.answered(ClusterLookupTests.map("a"), by: ClusterLookupTests.at("a"))
            waits.append(run.rest(isWhole: false))
            #expect(run.wanted() == nil, "the next look is due already")
            #expect(run.woken() == .ask(ClusterLookupTests.at("a")))
        }
        #expect(
            waits.allSatisfy { $0 <= .milliseconds(500) } && waits.suffix(3).allSatisfy { $0 >= .milliseconds(250) })
        _ = run.lookup.answered(ClusterLookupTests.map("a"), by: ClusterLookupTests.at("a"))
        let calm = run.rest()
        #expect(calm > .seconds(1))
        run.now = run.now - .milliseconds(1000)
        let next = run.wanted()
        #expect(try #require(next) - run.now <= .milliseconds(50), "short again")
    }

    @Test("what happens while an answer is under way is looked at again, because the answer may not know of it")
    func meanwhile() {
        var run = Run("a")
        #expect(run.woken() == .ask(ClusterLookupTests.at("a")))
        #expect(run.wanted() == nil)
        _ = run.lookup.answered(ClusterLookupTests.map("a"), by: ClusterLookupTests.at("a"))
        let wait = run.rest()
        #expect(wait <= .milliseconds(50))
    }

    @Test("while everything is as it should be it looks every few seconds, and never again once it is stopped")
    func period() {
        var run = Run("a")
        var waits: [TimeAmount] = []
        for _ in 0..<50 {
            _ = run.woken()
            _ = run.lookup.answered(ClusterLookupTests.map("a"), by: ClusterLookupTests.at("a"))
            waits.append(run.rest())
        }
        #expect(waits.allSatisfy { $0 >= .seconds(1) && $0 <= .milliseconds(2500) } && Set(waits).count > 40)
        run.lookup.stop()
        run.now = run.now + .hours(1)
        #expect(run.woken() == .ignore)
        #expect(run.wanted() == nil)
    }
}
