// SPDX-License-Identifier: Apache-2.0
import SluiceClient

extension FuzzTarget {
    /// A stream reads the same wherever the network splits it, up to the line that is too long.
    static func parser(_ input: FuzzInput) {
        var input = input
        let seed = input.byte()
        let bytesMax = 64 + Int(input.byte())
        let whole = parsed([input.bytes], bytesMax: bytesMax)
        let split = parsed(input.pieces(seed: seed), bytesMax: bytesMax)
        precondition(split == whole)
        for case .event(let event) in whole.list {
            precondition(event.data.utf8.count <= 3 * (bytesMax + 1))
            precondition(!event.type.isEmpty && event.id.map { $0 == event.lastEventID } != false)
        }
    }

    struct ParsedStream: Equatable {
        var list: [EventStreamParser.Output] = []
        var lastEventID = ""
        var isWhole = true
    }

    static func parsed(_ pieces: [UnsafeRawBufferPointer], bytesMax: Int) -> ParsedStream {
        var result = ParsedStream()
        var parser = EventStreamParser(bytesMax: bytesMax)
        do {
            for piece in pieces { try parser.read(piece) { result.list.append($0) } }
        } catch {
            result.isWhole = false
        }
        result.lastEventID = parser.lastEventID
        return result
    }
}
