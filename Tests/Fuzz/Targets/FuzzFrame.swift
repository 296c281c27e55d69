// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceClient
import SluiceCore

extension FuzzTarget {
    /// Whatever is published, a stream carries it as one event with the same fields, in one well-formed chunk.
    ///
    /// The first byte says which fields there are, the second where the stream is split; a line each for id and type,
    /// then the data. It is sent twice, so that what one event leaves behind would show in the next.
    static func frame(_ input: FuzzInput) {
        var input = input
        let flags = input.byte()
        let seed = input.byte()
        let id = flags & 1 == 0 ? nil : Cursor(String(decoding: input.line(), as: UTF8.self))
        let givenType = flags & 2 == 0 ? nil : String(validating: input.line(), as: UTF8.self)
        let type = givenType.flatMap { EventLabel.problem(type: $0) == nil ? $0 : nil }

        var buffer = ByteBuffer(string: ":\n")
        var blocks = buffer
        var frames: [Frame] = []
        for _ in 0..<2 {
            let (frame, isRepaired) = Frame.append(id: id, type: type, data: input.bytes, to: &buffer)
            precondition(isRepaired == (String(validating: input.bytes, as: UTF8.self) == nil))
            checkChunk(frame, in: buffer)
            blocks.writeImmutableBuffer(slice(frame.block, of: buffer))
            frames.append(frame)
        }
        precondition(frames[0].end == frames[1].start && frames[1].end == buffer.writerIndex)

        let event = EventStreamParser.Event(
            type: type ?? "message", data: withLineFeeds(input.bytes), id: id?.description,
            lastEventID: id?.description ?? "")
        let outputs = blocks.withUnsafeReadableBytes { parsed(FuzzInput($0).pieces(seed: seed), bytesMax: 1 << 20) }
        precondition(outputs.isWhole)
        precondition(outputs.list == [.comment(""), .event(event), .event(event)])
    }

    /// RFC 9112 §7.1: the size in hexadecimal, CR LF, so many bytes, CR LF.
    private static func checkChunk(_ frame: Frame, in buffer: ByteBuffer) {
        let header = String(frame.block.count, radix: 16) + "\r\n"
        precondition(frame.headerLength == header.utf8.count)
        let chunk = slice(frame.chunk, of: buffer).readableBytesView
        precondition(chunk.starts(with: header.utf8) && chunk.suffix(2).elementsEqual("\r\n".utf8))
    }

    private static func slice(_ range: Range<Int>, of buffer: ByteBuffer) -> ByteBuffer {
        guard let slice = buffer.getSlice(at: range.lowerBound, length: range.count) else {
            fatalError("\(range) is not in the buffer")
        }
        return slice
    }

    /// What the standard's parser can give back: text, its line ends all LF.
    private static func withLineFeeds(_ bytes: UnsafeRawBufferPointer) -> String {
        var scalars = String.UnicodeScalarView()
        var isAfterReturn = false
        for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
            if scalar == "\r" {
                scalars.append("\n")
            } else if scalar != "\n" || !isAfterReturn {
                scalars.append(scalar)
            }
            isAfterReturn = scalar == "\r"
        }
        return String(scalars)
    }
}
