// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// What a connection has sent and its decoder has not had yet.
///
/// A decoder takes apart all that it is given at once, and makes ten times its bytes of short requests. So it gets small
/// slices; that of HTTP/1 gets none while a whole request waits for its answer: what a client has sent ahead stays as it came.
struct Intake {
    enum Step: Equatable {
        case bytes(ByteBuffer)
        /// The client sends nothing more.
        case end
        /// There is room for more: the read that was put off is due.
        case read
    }

    private static let sliceBytes = 1024

    private var waiting = ByteBuffer()
    private var isHeld = false
    private var isReadDue = false
    private(set) var hasEnded = false
    private var isEndTold = false

    /// There is something that the decoder may have: bytes, or the end of all.
    var isReady: Bool { waiting.readableBytes > 0 ? !isHeld : hasUntoldEnd }

    mutating func received(_ bytes: ByteBuffer) {
        if waiting.readableBytes == 0 { waiting = bytes } else { waiting.writeImmutableBuffer(bytes) }
    }

    mutating func ended() {
        hasEnded = true
    }

    /// A request is whole, and has to be answered before anything behind it is taken apart.
    mutating func hold() {
        isHeld = true
    }

    mutating func release() {
        isHeld = false
    }

    /// Whether more may be read now; if not, ``Step/read`` comes when what is here has been handed on.
    mutating func mayRead() -> Bool {
        isReadDue = waiting.readableBytes > 0
        return !isReadDue
    }

    /// An end that nobody was told of, because there were bytes before it.
    var hasUntoldEnd: Bool { hasEnded && !isEndTold }

    mutating func next() -> Step? {
        if waiting.readableBytes > 0 {
            guard !isHeld else { return nil }
            let slice = waiting.readSlice(length: min(waiting.readableBytes, Intake.sliceBytes))
            if waiting.readableBytes == 0 { waiting = ByteBuffer() }
            return slice.map { .bytes($0) }
        }
        if hasUntoldEnd {
            isEndTold = true
            return .end
        }
        guard isReadDue else { return nil }
        isReadDue = false
        return .read
    }
}
