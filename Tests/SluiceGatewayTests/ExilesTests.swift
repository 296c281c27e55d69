// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import SluiceGateway
import Testing

@Suite("Exiles")
struct ExilesTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    private func client(_ name: String) throws -> Target { try Target.client(name) }

    @Test("A client is away until its time is over, and nobody else is")
    func time() throws {
        var exiles = Exiles()
        let alice = try client("alice")
        exiles.banish(alice, until: start + .seconds(10))
        #expect(exiles.contains(alice, now: start))
        #expect(exiles.contains(alice, now: start + .milliseconds(9999)))
        #expect(!exiles.contains(alice, now: start + .seconds(10)))
        #expect(!exiles.contains(try client("bob"), now: start))
        #expect(!exiles.contains(try .topic("alice"), now: start))
    }

    @Test("The newest order counts, whether it is for longer or for shorter", arguments: [5, 20])
    func again(seconds: Int64) throws {
        var exiles = Exiles()
        let alice = try client("alice")
        exiles.banish(alice, until: start + .seconds(10))
        exiles.banish(alice, until: start + .seconds(seconds))
        exiles.forget(now: start)
        #expect(exiles.contains(alice, now: start + .seconds(seconds) - .milliseconds(1)))
        #expect(!exiles.contains(alice, now: start + .seconds(seconds)))
    }

    @Test("Forgetting lets nobody in early, also where a short time was given after a long one")
    func forgets() throws {
        var exiles = Exiles()
        let (long, short) = (try client("long"), try client("short"))
        exiles.banish(long, until: start + .seconds(100))
        exiles.banish(short, until: start + .seconds(1))
        for second in 0..<100 {
            let now = start + .seconds(Int64(second))
            exiles.forget(now: now)
            #expect(exiles.contains(long, now: now))
            #expect(exiles.contains(short, now: now) == (second < 1))
        }
        exiles.forget(now: start + .seconds(100))
        exiles.banish(short, until: start + .seconds(200))
        #expect(exiles.contains(short, now: start + .seconds(150)))
    }

    @Test("Of more than 100,000 the oldest are let in: whoever gives orders can't fill the memory")
    func bound() throws {
        var exiles = Exiles()
        for number in 0...100_000 { exiles.banish(try client("c\(number)"), until: start + .hours(1)) }
        #expect(!exiles.contains(try client("c0"), now: start))
        #expect(exiles.contains(try client("c1"), now: start))
        #expect(exiles.contains(try client("c100000"), now: start))
    }
}
