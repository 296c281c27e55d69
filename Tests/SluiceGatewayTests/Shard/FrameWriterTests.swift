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
        var writer = FrameWriter()
        writer.begin(batch)
        writer.select(group: 0, beyond: .zero, wire: wire, for: stream.wanted)
        let large = writer.cut(after: 50_000)
        #expect(large.count == 1 && large.rest.readableBytes > 50_000 && large.rest.lies(in: batch.buffer))
        let small = writer.cut(after: 100_500)
        #expect(small.count == 2 && small.rest.readableBytes > 500 && !small.rest.lies(in: batch.buffer))
    }
}
