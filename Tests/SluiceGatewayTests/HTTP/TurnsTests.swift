// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOEmbedded
import SluiceGateway
import TestSupport
import Testing

@Suite("Requests of a loop")
struct TurnsTests {
    /// A clock that only its test moves.
    private final class Clock {
        var now = NIODeadline.uptimeNanoseconds(1_000_000_000)
    }

    private let loop = EmbeddedEventLoop()
    private let clock = Clock()
    private let turns: Turns

    init() {
        turns = Turns(eventLoop: loop) { [clock] in clock.now }
    }

    @Test("have a millisecond in each turn, all together")
    func budget() {
        #expect(turns.hasTime())
        clock.now = clock.now + .microseconds(900)
        #expect(turns.hasTime())
        clock.now = clock.now + .microseconds(100)
        #expect(!turns.hasTime())
        loop.run()
        #expect(turns.hasTime(), "the next turn")
    }

    @Test("that had no time go on in the order in which they came, and before those that come later")
    func order() {
        var ran: [Int] = []
        for number in 1...3 {
            turns.wait { [clock] in
                ran.append(number)
                clock.now = clock.now + .microseconds(600)
            }
        }
        #expect(!turns.hasTime(), "others wait")
        loop.run()
        #expect(ran.isEmpty, "not before the loop has looked at its sockets")
        loop.advanceTime(by: .microseconds(100))
        #expect(ran == [1, 2] && !turns.hasTime())
        loop.advanceTime(by: .microseconds(100))
        #expect(ran == [1, 2, 3] && turns.hasTime())
    }

    @Test("of a connection wait behind others that wait, and then are answered")
    func connection() throws {
        let node = EmbeddedNode()
        let channel = try node.connect()
        node.turns.wait {}
        try channel.writeInbound(ByteBuffer(string: "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"))
        node.loop.run()
        #expect(try channel.readOutbound(as: ByteBuffer.self) == nil)
        node.loop.advanceTime(by: .microseconds(200))
        let answer = try #require(try channel.readOutbound(as: ByteBuffer.self))
        #expect(String(buffer: answer).hasPrefix("HTTP/1.1 "))
    }

    @Test("An HTTP/2 connection whose client has gone while it waited for its turn is closed")
    func goneBeforeItsTurn() throws {
        let node = EmbeddedNode()
        let channel = try node.connect()
        node.turns.wait {}
        try channel.writeInbound(ByteBuffer(string: "PRI * HTTP/2"))
        channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        node.loop.run()
        #expect(channel.isActive)
        node.loop.advanceTime(by: .microseconds(200))
        #expect(!channel.isActive)
    }
}
