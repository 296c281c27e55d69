// SPDX-License-Identifier: Apache-2.0
import NIOCore
import Testing

@testable import SluiceGateway

@Suite("What a connection has sent ahead")
struct IntakeTests {
    private enum Input {
        case receives(Int)
        case holds
        case releases
        case ends
        case asks
    }

    /// All that is handed on, or asked for, after each input: how many bytes, the end, a read.
    private func steps(_ inputs: [Input]) -> [[String]] {
        var intake = Intake()
        return inputs.map { input in
            var steps: [String] = []
            switch input {
            case .receives(let count): intake.received(ByteBuffer(repeating: UInt8(ascii: "x"), count: count))
            case .holds: intake.hold()
            case .releases: intake.release()
            case .ends: intake.ended()
            case .asks: if intake.mayRead() { steps.append("read") }
            }
            while let step = intake.next() {
                switch step {
                case .bytes(let bytes): steps.append("\(bytes.readableBytes)")
                case .end: steps.append("end")
                case .read: steps.append("read")
                }
            }
            return steps
        }
    }

    @Test("goes to the decoder in slices")
    func slices() {
        #expect(steps([.receives(10_000), .receives(1)]) == [Array(repeating: "1024", count: 9) + ["784"], ["1"]])
    }

    @Test("stays as it came while a whole request waits for its answer")
    func held() {
        #expect(
            steps([.holds, .receives(5000), .receives(100), .releases, .receives(7)])
                == [[], [], [], ["1024", "1024", "1024", "1024", "1004"], ["7"]])
    }

    @Test("puts a read off until all of it is handed on")
    func reading() {
        #expect(
            steps([.asks, .holds, .receives(5), .asks, .asks, .releases, .asks])
                == [["read"], [], [], [], [], ["5", "read"], ["read"]])
    }

    @Test("ends once, behind its last byte")
    func ended() {
        #expect(
            steps([.holds, .receives(5), .ends, .releases, .releases]) == [[], [], [], ["5", "end"], []])
    }

    @Test("tells of an end with nothing before it also while a request waits for its answer")
    func endAlone() {
        #expect(steps([.holds, .ends, .releases]) == [[], ["end"], []])
    }
}
