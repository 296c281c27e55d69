// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1
import SluiceCore
import SluiceGateway
import Testing

@Suite("What a stream's request asks for")
struct SubscriptionTests {
    private func request(_ query: String, _ headers: [(String, String)] = []) throws -> Subscription {
        try Subscription(query: Query(query, fieldsMax: 300), headers: HTTPHeaders(headers), topicsMax: 3)
    }

    @Test(
        "each name of a topic and of a client stands for the same; without one it is what is published to everybody",
        arguments: [
            ("", []), ("_=1763724000&checkpoints=0", []), ("topic=a&topic=b", ["topic:a", "topic:b"]),
            ("channel=a&channel=b", ["topic:a", "topic:b"]), ("channel=b&topic=a", ["topic:a", "topic:b"]),
            ("topic=a&channel=a&topic=a", ["topic:a"]), ("t%6Fpic=a", ["topic:a"]), ("client=c", ["client:c"]),
            ("client_id=c", ["client:c"]), ("user_id=c&token=x", ["client:c"]),
            ("user_id=c&channel=a", ["topic:a", "client:c"]), ("Topic=a&topics=a&topic%00=a", []),
        ])
    func targets(_ query: String, _ targets: [String]) throws {
        #expect(try request(query).targets.map(\.description) == targets)
    }

    @Test(
        "an empty name, two clients, or too much is a bad request",
        arguments: [
            "topic=", "channel=", "client=", "client_id=", "user_id=", "client=a&client=b", "client=a&client_id=b",
            "client_id=a&user_id=a", "topic=a&topic=b&channel=c&channel=d", "topic=%zz", "client=%FF",
            "checkpoints=maybe", "conflate=1&conflate=1", String(repeating: "&", count: 301),
            String(repeating: "a=b&", count: 301),
        ])
    func refused(_ query: String) {
        let error = #expect(throws: HTTPProblem.self) { try request(query) }
        #expect(error?.status == .badRequest)
    }

    @Test(
        "checkpoints=0 and conflate=1 are understood whatever the stream is of",
        arguments: ["", "topic=a", "user_id=c"])
    func flags(_ names: String) throws {
        let plain = try request(names)
        #expect(plain.hasCheckpoints && !plain.conflates)
        let asked = try request("\(names)&checkpoints=0&conflate=1")
        #expect(!asked.hasCheckpoints && asked.conflates)
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let headers: [String]
        let query: String
        let expected: Resume

        init(_ name: String, _ headers: [String], _ query: String, _ expected: Resume) {
            testDescription = name
            self.headers = headers
            self.query = query
            self.expected = expected
        }
    }

    private static func after(_ milliseconds: UInt64, _ sequence: UInt64 = 0) -> Resume {
        .after(Cursor(EventID(milliseconds, sequence)))
    }

    private static let rows = [
        Row("none", [], "", .fresh),
        Row("an empty header is none", [""], "", .fresh),
        Row("all are empty", ["", ""], "last_event_id=&lastEventId=&last_event_id", .fresh),
        Row("the header", ["7-0"], "", after(7)),
        Row("the URL", [], "last_event_id=7-0", after(7)),
        Row("the polyfill's", [], "lastEventId=7-0", after(7)),
        Row("an empty header hides nothing", [""], "last_event_id=7-0", after(7)),
        Row("an empty header, earliest in the URL", [""], "last_event_id=earliest", .earliest),
        Row("an empty polyfill's hides nothing", [], "last_event_id=7-0&lastEventId=", after(7)),
        Row("a newer header", ["9-0"], "last_event_id=7-0", after(9)),
        Row("an older header", ["7-0"], "last_event_id=9-0", after(9)),
        Row("as numbers, not as text", ["9-9"], "last_event_id=10-0&lastEventId=9-10", after(10)),
        Row("by the sequence", ["9-9"], "last_event_id=9-10", after(9, 10)),
        Row("the newest of several in the URL", [], "last_event_id=9-0&last_event_id=8-0", after(9)),
        Row("the newest of several headers", ["8-0", "9-0", "7-0"], "", after(9)),
        Row("the polyfill's over earliest", [], "last_event_id=earliest&lastEventId=7-0", after(7)),
        Row("a header over earliest", ["7-0"], "last_event_id=earliest", after(7)),
        Row("a cursor over an earliest that is last", [], "last_event_id=7-0&lastEventId=earliest", after(7)),
        Row("earliest", [], "last_event_id=earliest", .earliest),
        Row("available", [], "last_event_id=available", .available),
        Row("a cursor over available", ["7-0"], "last_event_id=available", after(7)),
        Row("earliest tells more than available", [], "last_event_id=available&last_event_id=earliest", .earliest),
        Row("malformed", ["x"], "", .malformed),
        Row("malformed in the URL", [], "last_event_id=7", .malformed),
        Row("not even decoded", [], "last_event_id=%zz", .malformed),
        Row("malformed beside a cursor counts as nothing", ["x"], "last_event_id=7-0&lastEventId=%FF", after(7)),
        Row("malformed beside earliest", ["x"], "last_event_id=earliest", .earliest),
        Row("a word in another case", [], "last_event_id=Earliest", .malformed),
    ]

    @Test("the newest cursor of all that it has wins, and what is empty or malformed hides none", arguments: rows)
    func resume(_ row: Row) throws {
        let headers = row.headers.map { ("Last-Event-ID", $0) }
        #expect(try request("topic=a&\(row.query)", headers).resume == row.expected)
    }
}
