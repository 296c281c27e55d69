// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Testing

@Suite("The server's time")
struct ServerTimeTests {
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    @Test(
        "is at the latest what it said, and what has passed since it was asked, and a little for clocks that are adjusted",
        arguments: [(0, 1_100), (1, 1_101), (5_000, 6_105), (-5, 1_100)] as [(Int64, UInt64)])
    func latest(_ passed: Int64, _ expected: UInt64) {
        var time = ServerTime()
        #expect(time.latest(now: ServerTimeTests.start) == nil)
        time.read(1_000, asked: ServerTimeTests.start)
        #expect(time.latest(now: ServerTimeTests.start + .milliseconds(passed)) == expected)
    }

    @Test("goes back with the server's clock, and does not believe a time that ids can't have")
    func back() {
        var time = ServerTime()
        time.read(5_000, asked: ServerTimeTests.start)
        time.read(2_000, asked: ServerTimeTests.start)
        #expect(time.latest(now: ServerTimeTests.start) == 2_100)
        time.read(.max, asked: ServerTimeTests.start)
        #expect(time.latest(now: ServerTimeTests.start) == 2_100)
    }
}
