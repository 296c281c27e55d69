// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import SluiceGateway
import Testing

@Suite("FrameWriter")
struct FrameWriterTests {
    private static func batch(_ sizes: [Int]) throws -> Batch {
        var builder = BatchBuilder()
        for (index, size) in sizes.enumerated() {
            let envelope = Envelope(id: EventID(UInt64(index + 1), 0))
            _ = [UInt8](repeating: UInt8(ascii: "x"), count: size).withUnsafeBytes {
                builder.append(envelope, data: $0, target: TargetNumber(1))
            }
        }
        let batch = builder.finish()
        return try #require(batch)
    }

    @Test(
        "Of a large frame a slow stream keeps the bytes that all streams share, of a small one a copy",
        arguments: [StreamWire.chunked, .plain])
    func rest(wire: StreamWire) throws {
        let batch = try Self.batch([100_000, 1000])
        let stream = StreamMachine(
            now: .uptimeNanoseconds(0), expiry: nil, resume: .fresh, hasCheckpoints: true)
        var writer = FrameWriter(times: DeliveryTimes(Counters().deliveryTimes.tally, wallClock: { 0 }))
        writer.begin(batch)
        writer.select(group: 0, beyond: .zero, wire: wire, for: stream.wanted())
        let large = writer.cut(after: 50_000)
        #expect(large.count == 1 && large.rest.bytes.readableBytes > 50_000 && large.rest.bytes.lies(in: batch.buffer))
        let small = writer.cut(after: 100_500)
        #expect(small.count == 2 && small.rest.bytes.readableBytes > 500 && !small.rest.bytes.lies(in: batch.buffer))
    }

    private static func place() -> Cut {
        var place = Cut(EventID(1_763_720_000_000, 3), count: 16)
        place[.first] = .zero
        return place
    }

    @Test(
        "A stream that stands elsewhere than the node gets the same events with cursors of its own, wherever its socket stops",
        arguments: [StreamWire.chunked, .plain])
    func ownCursors(wire: StreamWire) throws {
        let batch = try Self.batch([20_000, 10, 40_000])
        let stream = StreamMachine(now: .uptimeNanoseconds(0), expiry: nil, resume: .fresh, hasCheckpoints: true)
        var writer = FrameWriter(times: DeliveryTimes(Counters().deliveryTimes.tally, wallClock: { 0 }))
        writer.begin(batch)
        writer.select([TargetNumber(1)], for: stream.wanted(), wire: wire, place: Self.place())
        let whole = writer.withSelectedBytes { Array($0) }
        let text = String(decoding: whole, as: UTF8.self)
        for number in 1...3 as ClosedRange<UInt64> {
            #expect(
                text.contains("id: \(Cursor(Self.place().with(EventID(number, 0), in: .first), at: .first))\ndata: x"))
        }
        var end = 0
        for sent in [0, 1, 30, 19_000, 20_100, 20_150, 20_300, 21_000, 60_000] {
            let stop = writer.cut(after: sent)
            let rest =
                Array(stop.rest.bytes.readableBytesView) + (stop.rest.shared.map { Array($0.readableBytesView) } ?? [])
            #expect(Array(whole[sent..<sent + rest.count]) == rest)
            end = max(end, sent + rest.count)
            if rest.count >= 16 << 10 {
                #expect((stop.rest.shared ?? stop.rest.bytes).lies(in: batch.buffer), "no copy of what is large")
            }
        }
        #expect(end == whole.count)
    }
}
