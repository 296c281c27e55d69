// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceRedis

/// What a run of the load generator is to do.
struct BenchPlan: Sendable {
    enum Publisher: Sendable {
        /// Nothing is published: the streams are opened and looked at.
        case none
        case redis(RedisURL, channel: String, isLogged: Bool)
        /// `{data}` in the body stands for the message.
        case http(HTTPURL, body: String)
    }

    var url: HTTPURL
    var streams: Int
    var publisher: Publisher
    var messages: Int
    /// Messages per second; 0: as fast as possible.
    var rate: Double
    /// Bytes of a message.
    var size: Int
    /// Messages that are sent and not yet acknowledged.
    var inFlightMax: Int
    var sourceAddresses: Int
    /// Connections that are being opened at a time, per event loop.
    var connectWindow: Int
    var settle: TimeAmount
    var linger: TimeAmount
    var loops: Int
    var token: String?
    var processes: [Int32]
    let run = UInt32.random(in: .min ... .max)

    /// Few streams get large buffers, many small ones: NIO keeps one for each.
    var readBytes: Int {
        var bytes = 65_536
        while bytes > 2048, bytes * streams > 64 << 20 { bytes /= 2 }
        return bytes
    }

    /// The message with this number, sent now.
    func payload(sequence: UInt32) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: size)
        let now = NIODeadline.now().uptimeNanoseconds
        BenchMarker(run: run, sequence: sequence, nanoseconds: now).write(to: &buffer)
        buffer.writeRepeatingByte(UInt8(ascii: "x"), count: max(0, size - BenchMarker.length))
        return buffer
    }
}
