// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceGateway
import Testing

@Suite("What an HTTP/2 peer may have done for nothing")
struct HTTP2AllowanceTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    /// How many of two thousand are allowed, at each of some times.
    private func allowed(_ kind: HTTP2Allowance.Kind, streamsMax: Int, at times: TimeAmount...) -> [Int] {
        var allowance = HTTP2Allowance(streamsMax: streamsMax, now: start)
        return times.map { time in (0..<2000).count { _ in allowance.take(kind, now: start + time) } }
    }

    @Test(
        "All clients of a connection may leave at once, and those that took their places; no more within seconds"
    )
    func abandoned() {
        #expect(allowed(.abandoned, streamsMax: 128, at: .zero, .seconds(5), .hours(1)) == [256, 128, 256])
        #expect(allowed(.abandoned, streamsMax: 1, at: .zero) == [2])
    }

    @Test("What is wrong, and what only controls, have limits of their own")
    func others() {
        #expect(allowed(.malformed, streamsMax: 1, at: .zero, .seconds(10)) == [100, 100])
        #expect(allowed(.control, streamsMax: 1, at: .zero, .seconds(10)) == [1000, 1000])
    }
}
