// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceGateway
import Testing

@Suite("Rebalancing") struct RebalancerTests {
    private static func at(_ seconds: Int) -> NIODeadline { .uptimeNanoseconds(UInt64(seconds) * 1_000_000_000) }

    /// What it ends in the second after it has seen how things are.
    private func firstStep(own: Int, others: [Int]) -> Int {
        var rebalancer = Rebalancer()
        for second in 100...108 {
            let count = rebalancer.surplus(own: own, others: others, now: Self.at(second))
            #expect(count == 0)
        }
        return rebalancer.surplus(own: own, others: others, now: Self.at(109))
    }

    @Test(
        "ends a hundredth of the node's streams in a second, where it has more than 1.2 × the mean",
        arguments: [
            (5000, [0, 0], 50), (5000, [5000, 5000, 0, 0, 0], 50), (6100, [4900, 4000], 61),
            // No more than 1.2 × the mean.
            (6000, [4500, 4500], 0), (5000, [5000, 5000], 0), (0, [5000, 5000], 0),
            // Nobody else, nobody at all, and no more than somebody has to have.
            (5000, [], 0), (0, [], 0), (0, [0, 0], 0), (3, [2, 2], 0), (1, [0, 0], 0),
            // Less than one in a second.
            (10, [0, 0], 0),
        ])
    func table(own: Int, others: [Int], ended: Int) {
        #expect(firstStep(own: own, others: others) == ended)
    }

    @Test("goes on until the node has no more than the mean, and then waits for the next time that it has too many")
    func hysteresis() {
        var rebalancer = Rebalancer()
        var own = 5000
        var others = [5000, 0]
        var second = 0
        while own > 3334 {
            second += 1
            let count = rebalancer.surplus(own: own, others: others, now: Self.at(second))
            #expect(count <= own / 100 + 1)
            own -= count
            // The other one does the same; the load balancer sends all to the empty one.
            others = [own, 10_000 - 2 * own]
            guard second < 120 else { break }
        }
        #expect(own == 3334 && second < 70, "\(own) after \(second) s")
        #expect(rebalancer.surplus(own: own, others: others, now: Self.at(second + 1)) == 0)
        // Less than 1.2 × the mean is no reason to begin again.
        for later in 2...3 {
            #expect(rebalancer.surplus(own: 3900, others: [3050, 3050], now: Self.at(second + later)) == 0)
        }
    }

    @Test("ends single streams where a hundredth is less than one")
    func few() {
        var rebalancer = Rebalancer()
        let ended = (0...110).map { rebalancer.surplus(own: 10, others: [0, 0], now: Self.at($0)) }
        #expect(ended.max() == 1 && (9...10).contains(ended.reduce(0, +)))
    }

    @Test("makes up for no pause: a node that stood still does not end a minute's worth at once")
    func pause() {
        var rebalancer = Rebalancer()
        for second in 0...8 { _ = rebalancer.surplus(own: 5000, others: [0], now: Self.at(second)) }
        #expect(rebalancer.surplus(own: 5000, others: [0], now: Self.at(60)) == 50)
    }

    @Test("does not take itself for fuller than the others where streams come to all, whose counts it learns late")
    func ramp() {
        var rebalancer = Rebalancer()
        for second in 0...60 {
            // As old as an entry of the registry may be.
            let others = Array(repeating: max(0, second - 7) * 200, count: 2)
            let count = rebalancer.surplus(own: second * 200, others: others, now: Self.at(second))
            #expect(count == 0, "in second \(second)")
        }
        #expect(!rebalancer.isResting)
    }

    @Test("rests where streams come back to the same node: it ends at most twice what was too much in ten minutes")
    func sticky() {
        var rebalancer = Rebalancer()
        let ended = (0..<600).reduce(0) { sum, second in
            sum + rebalancer.surplus(own: 5000, others: [1000], now: Self.at(second))
        }
        #expect(ended == 4000 && rebalancer.isResting)
        #expect((600..<700).contains { rebalancer.surplus(own: 5000, others: [1000], now: Self.at($0)) > 0 })
    }
}
