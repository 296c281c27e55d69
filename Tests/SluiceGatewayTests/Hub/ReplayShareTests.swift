// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import Testing

@Suite("What a shard's replays may hold")
struct ReplayShareTests {
    @Test("Replays of one core share what they may hold: one of many asks for less at once than a single one")
    func share() throws {
        let node = ScriptedNode()
        node.broker.failsToRead = true
        let topics = (0..<64).map { "t\($0)" }
        for topic in topics { _ = try node.open("topic=\(topic)&last_event_id=earliest") }
        let bytes = try topics.map { node.broker.bytesOfReads[try .topic($0)] }
        #expect(bytes.first == 512 << 10 && bytes.last == 256 << 10)
    }
}
