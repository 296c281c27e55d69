// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Testing

@testable import SluiceBench

@Suite struct BenchMarkerTests {
    private let marker = Marker(run: 0xC0FF_EE00, start: .uptimeNanoseconds(1000))

    private func payload(_ sequence: UInt32, sentAt: UInt64 = 0, size: Int = 0) -> [UInt8] {
        var buffer = ByteBuffer()
        marker.write(sequence: sequence, sentAt: .uptimeNanoseconds(1000 + sentAt), size: size, to: &buffer)
        return Array(buffer.readableBytesView)
    }

    private func scan(_ pieces: [[UInt8]]) -> [UInt32] {
        var scanner = MarkerScanner()
        var found: [UInt32] = []
        for piece in pieces {
            piece.withUnsafeBytes { bytes in
                scanner.scan(bytes, run: marker.run) { sequence, _ in found.append(sequence) }
            }
        }
        return found
    }

    @Test func looksAsDescribed() {
        let text = String(decoding: payload(0xABC, sentAt: 0x1234, size: 32), as: UTF8.self)
        #expect(text == "~c0ffee0000000abc000000001234~xx")
    }

    @Test func carriesSequenceAndTime() {
        var scanner = MarkerScanner()
        var found: [(UInt32, UInt64)] = []
        payload(.max, sentAt: 5_000_000_000).withUnsafeBytes { bytes in
            scanner.scan(bytes, run: marker.run) { found.append(($0, $1)) }
        }
        #expect(found.count == 1 && found[0] == (.max, 5_000_000_000))
    }

    /// Text around the marks, look-alikes, a mark of another run: cut at every two places.
    @Test func piecesOfAnySizeMakeNoDifference() {
        var other = ByteBuffer()
        Marker(run: 1, start: .uptimeNanoseconds(0)).write(
            sequence: 9, sentAt: .uptimeNanoseconds(0), size: 0, to: &other)
        let stream =
            Array("data: ~~x~".utf8) + payload(1, size: 40) + Array("~c0ffee00".utf8) + payload(2)
            + Array(other.readableBytesView) + payload(3) + Array("~c0ffee000000zz".utf8) + payload(4, size: 31)
        for first in 0...stream.count {
            for second in first...stream.count {
                let pieces = [Array(stream[..<first]), Array(stream[first..<second]), Array(stream[second...])]
                #expect(scan(pieces) == [1, 2, 3, 4], "cut at \(first) and \(second)")
            }
        }
        #expect(scan(stream.map { [$0] }) == [1, 2, 3, 4])
    }
}
