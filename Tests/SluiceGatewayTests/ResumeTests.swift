// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    /// The guarantees of resume, by table, against both brokers where both can play.
    @Suite("resumes streams")
    struct ResumeTests {
        /// Publishes numbered events and returns their ids.
        private func publish(
            _ test: TestNode, _ topic: String, _ range: ClosedRange<Int>, _ more: String = ""
        ) async throws -> [String] {
            var ids: [String] = []
            for number in range {
                let answer = try await test.publish(#"{"topic":"\#(topic)","data":"\#(topic)\#(number)"\#(more)}"#)
                let id = try #require(answer.text.firstMatch(of: /"id":"([0-9-]+)"/))
                ids.append(String(id.1))
            }
            return ids
        }

        private func resumed(_ test: TestNode, _ target: String, after cursor: String) async throws -> EventStreamClient
        {
            var options = EventStreamClient.Options()
            options.headers["Last-Event-ID"] = cursor
            return try await test.stream(target, options)
        }

        private func gaps(_ client: EventStreamClient) -> [ReceivedEvent] {
            client.now.events.filter { $0.type == "gap" }
        }

        @Test(
            "After a cursor come exactly the later events of all topics, by id, then live ones",
            arguments: Stage.all)
        func afterCursor(stage: Stage) async throws {
            let test = try await TestNode.start(stage)
            let early = try await publish(test, "a", 1...3)
            _ = try await publish(test, "b", 1...2)
            _ = try await publish(test, "a", 4...5)
            let client = try await resumed(test, "/events?topic=a&topic=b", after: early[1])
            #expect(await client.receives(5))
            _ = try await publish(test, "b", 3...3)
            #expect(await client.receives(6))
            #expect(client.data == ["a3", "b1", "b2", "a4", "a5", "b3"])
            #expect(gaps(client).isEmpty)
        }

        @Test(
            "earliest replays the whole log; a query's cursor counts, the header wins", arguments: BrokerKind.allCases)
        func earliest(broker: BrokerKind) async throws {
            let test = try await TestNode.start(broker)
            let ids = try await publish(test, "a", 1...4)
            let whole = try await test.stream("/events?topic=a&last_event_id=earliest")
            #expect(await whole.receives(4))
            let query = try await test.stream("/events?topic=a&last_event_id=\(ids[2])")
            #expect(await query.receives(1))
            #expect(query.data == ["a4"])
            let both = try await resumed(test, "/events?topic=a&last_event_id=earliest", after: ids[1])
            #expect(await both.receives(2))
            #expect(both.data == ["a3", "a4"])
        }

        @Test(
            "Of a trimmed log earliest tells first that its beginning is gone; available brings what there is",
            arguments: BrokerKind.allCases)
        func trimmedBeginning(broker: BrokerKind) async throws {
            let test = try await TestNode.start(broker)
            let ids = try await publish(test, "a", 1...6, #","maxlen":2"#)
            let whole = try await test.stream("/events?topic=a&last_event_id=earliest")
            #expect(await whole.receives(2))
            #expect(gaps(whole).map(\.data) == [#"{"from":"","to":"\#(ids[3])","topics":["topic:a"]}"#])
            #expect(gaps(whole).first?.id == ids[3])
            let available = try await test.stream("/events?topic=a&last_event_id=available")
            #expect(await available.receives(2))
            #expect(available.data == ["a5", "a6"] && whole.data == ["a5", "a6"] && gaps(available).isEmpty)
        }

        @Test(
            "A key of another type under a log's name is a gap for its topic and a line in the log; the other topics go on",
            .timeLimit(.minutes(1)))
        func wrongType() async throws {
            let test = try await TestNode.start(.redis)
            let ids = try await publish(test, "good", 1...2)
            try await #require(test.redis).cli("RPUSH", "sluice:topic:bad", "x")
            let client = try await resumed(test, "/events?topic=bad&topic=good", after: ids[0])
            #expect(await client.receives(1))
            _ = try await publish(test, "good", 3...3)
            #expect(await client.receives(2))
            #expect(client.data == ["good2", "good3"])
            #expect(gaps(client).count == 1 && gaps(client).first?.data.contains(#"["topic:bad"]"#) == true)
            let lines = test.node.output.split(separator: "\n").filter { $0.contains("a log can't be read") }
            #expect(lines.count == 1 && lines.first?.contains("topic:bad") == true, "\(lines)")
        }

        @Test("More events than a page are replayed in order", arguments: Stage.all)
        func pages(stage: Stage) async throws {
            let test = try await TestNode.start(stage, ["--log-events", "10000"])
            let lines = (1...700).map { #"{"topic":"\#($0.isMultiple(of: 2) ? "a" : "b")","data":"\#($0)"}"# }
            let answer = try await test.request(
                "POST", "/publish", headers: ["Content-Type": "application/x-ndjson"],
                body: Array(lines.joined(separator: "\n").utf8))
            #expect(answer.status == 200)
            let client = try await test.stream("/events?topic=a&topic=b&last_event_id=earliest")
            #expect(await client.receives(700, within: 30))
            #expect(client.data == (1...700).map(String.init))
        }

        @Test(
            "A cursor that is none, or comes from the future, gets a gap without from and starts at the mark",
            arguments: ["garbage", "1-2-3", "99999999999999-0", "' OR 1=1", "-"], BrokerKind.allCases)
        func hostile(cursor: String, broker: BrokerKind) async throws {
            let test = try await TestNode.start(broker)
            _ = try await publish(test, "a", 1...2)
            let client = try await resumed(test, "/events?topic=a", after: cursor)
            #expect(await client.waits { $0.events.contains { $0.type == "checkpoint" } })
            let gap = try #require(gaps(client).first)
            #expect(gap.data.contains(#""from":"","#) && gap.data.contains("topic:a"))
            #expect(gap.id.wholeMatch(of: /[0-9]+-[0-9]+/) != nil)
            _ = try await publish(test, "a", 3...3)
            #expect(await client.receives(1))
            #expect(client.data == ["a3"])
        }

        @Test(
            "A checkpoint is a cursor: nothing is missed and nothing is a gap after it", arguments: BrokerKind.allCases)
        func checkpoint(broker: BrokerKind) async throws {
            let test = try await TestNode.start(broker)
            let first = try await test.stream("/events?topic=quiet&client=c")
            #expect(await first.waits { $0.events.contains { $0.type == "checkpoint" } })
            let cursor = try #require(first.now.events.last?.id)
            first.close()
            try await test.publish(#"{"client":"c","data":"while away"}"#)
            let client = try await resumed(test, "/events?topic=quiet&client=c", after: cursor)
            #expect(await client.receives(1))
            #expect(client.data == ["while away"])
            #expect(gaps(client).isEmpty)
        }

        @Test("A trimmed log gives one gap that names it, then what is there", arguments: BrokerKind.allCases)
        func trimmed(broker: BrokerKind) async throws {
            let test = try await TestNode.start(broker)
            let ids = try await publish(test, "t", 1...10, #","maxlen":3"#)
            let client = try await resumed(test, "/events?topic=t&topic=other", after: ids[1])
            #expect(await client.receives(3))
            #expect(client.data == ["t8", "t9", "t10"])
            #expect(
                gaps(client).map(\.data) == [#"{"from":"\#(ids[1])","to":"\#(ids[6])","topics":["topic:t"]}"#])
            let whole = try await resumed(test, "/events?topic=t", after: ids[6])
            #expect(await whole.receives(3))
            #expect(gaps(whole).isEmpty, "nothing is missing after the seventh")
        }

        @Test("A log that has expired: a gap if it had news, none if not")
        func expired() async throws {
            let test = try await TestNode.start(.redis)
            let ids = try await publish(test, "t", 1...3)
            let redis = try #require(test.redis)
            try await redis.cli("DEL", "sluice:topic:t")
            let behind = try await resumed(test, "/events?topic=t", after: ids[0])
            #expect(await behind.waits { $0.events.contains { $0.type == "gap" } })
            #expect(gaps(behind).map(\.data) == [#"{"from":"\#(ids[0])","to":"\#(ids[2])","topics":["topic:t"]}"#])
            let upToDate = try await resumed(test, "/events?topic=t", after: ids[2])
            #expect(await upToDate.waits { $0.events.contains { $0.type == "checkpoint" } })
            #expect(gaps(upToDate).isEmpty)
        }

        @Test("A flushed Redis gives a gap to older cursors, and ids go on upwards")
        func flushed() async throws {
            let test = try await TestNode.start(.redis)
            let ids = try await publish(test, "t", 1...2)
            let redis = try #require(test.redis)
            try await redis.cli("FLUSHALL")
            #expect(await eventually { try await redis.cli("HGET", "sluice:clock", "born").count > 5 })
            let later = try await publish(test, "t", 3...3)
            #expect(later[0] > ids[1])
            let client = try await resumed(test, "/events?topic=t", after: ids[0])
            #expect(await client.receives(1))
            let gap = try #require(gaps(client).first)
            #expect(gap.data.contains(#""from":"\#(ids[0])""#) && gap.data.contains("topic:t"))
            #expect(client.data == ["t3"])
        }

        @Test(
            "An ended topic: its log and a clean end for whoever comes late, 204 for whoever has had it",
            arguments: Stage.all)
        func finite(stage: Stage) async throws {
            let test = try await TestNode.start(stage)
            let watching = try await test.stream("/events?topic=job")
            _ = try await publish(test, "job", 1...2)
            let end = try await publish(test, "job", 3...3, #","end":true"#)
            #expect(await watching.waits { $0.cleanEnds == 1 && $0.isOver })
            #expect(watching.data == ["job1", "job2", "job3"])
            let late = EventStreamClient(
                port: test.port, "/events?topic=job&last_event_id=earliest", options: test.over())
            #expect(await late.waits { $0.isOver })
            #expect(late.data == ["job1", "job2", "job3"] && late.now.cleanEnds == 1)
            var options = test.over()
            options.headers["Last-Event-ID"] = end[0]
            let done = EventStreamClient(port: test.port, "/events?topic=job", options: options)
            #expect(await done.waits { $0.isOver })
            #expect(done.now.answer?.status == 204)
            let fresh = EventStreamClient(port: test.port, "/events?topic=job", options: test.over())
            #expect(await fresh.waits { $0.isOver })
            #expect(fresh.now.answer?.status == 204)
            let client = try await test.stream("/events?topic=job&client=c")
            #expect(!client.now.isOver, "a client can always be sent something")
            _ = try await publish(test, "job", 4...4)
            let again = try await test.stream("/events?topic=job")
            #expect(again.now.answer?.status == 200, "a publish after the end opens the topic again")
        }

        @Test("A slow stream that asked for conflation gets the newest of each key, and everything without a key")
        func conflation() async throws {
            let test = try await TestNode.start(.redis, ["--threads", "1"])
            var options = EventStreamClient.Options()
            options.receiveBuffer = 4096
            let slow = try await test.stream("/events?topic=p&conflate=1", options)
            slow.pause()
            let padding = String(repeating: "x", count: 30_000)
            for number in 1...100 {
                try await test.publish(
                    #"{"topic":"p","key":"k\#(number % 2)","event":"\#(number)","data":"\#(padding)"}"#)
            }
            try await test.publish(#"{"topic":"p","data":"last"}"#)
            slow.resume()
            #expect(await slow.waits(within: 30) { $0.messages.last?.data == "last" })
            let types = slow.now.messages.compactMap { Int($0.type) }
            #expect(types.count < 100 && types.contains(99) && types.contains(100))
            #expect(types == types.sorted())
        }
    }
}
