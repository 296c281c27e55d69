// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Testing

@Suite("A token bucket")
struct TokenBucketTests {
    private static func time(_ milliseconds: Int64) -> NIODeadline {
        .uptimeNanoseconds(1_000_000_000) + .milliseconds(milliseconds)
    }

    private func taken(_ bucket: inout TokenBucket, at milliseconds: Int64, of attempts: Int) -> Int {
        (0..<attempts).filter { _ in bucket.take(now: Self.time(milliseconds)) }.count
    }

    @Test("admits a second's worth at once, and then only what time brings")
    func burst() {
        var bucket = TokenBucket(rate: 100, now: Self.time(0))
        #expect(taken(&bucket, at: 0, of: 1000) == 100)
        #expect(taken(&bucket, at: 0, of: 1000) == 0)
        #expect(taken(&bucket, at: 500, of: 1000) == 50)
        #expect(taken(&bucket, at: 60_000, of: 1000) == 100, "no more is saved up than a second's worth")
    }

    @Test("holds over time, not only in the first second")
    func steady() {
        var bucket = TokenBucket(rate: 10, now: Self.time(0))
        let total = (0..<1000).reduce(0) { $0 + taken(&bucket, at: Int64($1) * 100, of: 5) }
        #expect((1000...1010).contains(total), "100 seconds at 10 a second: \(total)")
    }

    @Test("a clock that goes back gives nothing")
    func backwards() {
        var bucket = TokenBucket(rate: 1, now: Self.time(5000))
        #expect(taken(&bucket, at: 5000, of: 3) == 1)
        #expect(taken(&bucket, at: 1000, of: 3) == 0)
        #expect(taken(&bucket, at: 5500, of: 3) == 0)
    }

    @Test("says how long to wait for several, and is right")
    func several() throws {
        var bucket = TokenBucket(rate: 100, now: Self.time(0))
        #expect(bucket.take(100, now: Self.time(0)) == nil)
        let refusal = bucket.take(30, now: Self.time(0))
        let wait = try #require(refusal)
        #expect((299...301).contains(wait.nanoseconds / 1_000_000))
        #expect(bucket.take(30, now: Self.time(0) + wait - .milliseconds(1)) != nil, "what is refused takes nothing")
        #expect(bucket.take(30, now: Self.time(0) + wait) == nil)
    }

    @Test("grants more than a second's worth when it is full, and is owed the rest")
    func debt() throws {
        var bucket = TokenBucket(rate: 10, now: Self.time(0))
        #expect(bucket.take(1000, now: Self.time(0)) == nil)
        #expect(bucket.fullAt > Self.time(99_999))
        #expect(taken(&bucket, at: 99_000, of: 5) == 0)
        #expect(taken(&bucket, at: 100_000, of: 50) == 10)
    }
}
