// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore
import SluiceGateway
import TestSupport
import Testing

@Suite("A publish that is being read")
struct PublishReaderTests {
    private static let limits: PublishRequest.Limits = {
        var limits = PublishRequest.Limits(dataBytesMax: 10_000, maxlen: 10, ttl: 60)
        limits.targetsMax = 100
        limits.maxlenMax = 500
        limits.ttlMax = 600
        return limits
    }()

    private static func read(
        _ text: String, step: Int = 1 << 16, _ reader: inout PublishReader
    ) throws(HTTPProblem) -> PublishRequest {
        let bytes = ByteBuffer(string: text)
        var limit = 0
        while true {
            limit = min(bytes.readableBytes, limit + step)
            let request = try bytes.withUnsafeReadableBytes { bytes throws(HTTPProblem) in
                try reader.read(bytes, upTo: limit)
            }
            if let request { return request }
        }
    }

    /// Bodies of 8 MB, and how much of them has to be read to know that they are refused.
    private static let endless: [(body: String, status: HTTPResponseStatus, bytesMax: Int)] = [
        (#"{"topic":"x","data":[\#(String(repeating: "0,", count: 4_000_000))0]}"#, .payloadTooLarge, 10_100),
        (#"{"topic":"x","data":{"a":[\#(String(repeating: "[],", count: 2_700_000))0]}}"#, .payloadTooLarge, 10_100),
        (#"{"topic":"x","data":[\#(String(repeating: " ", count: 8_000_000))0]}"#, .payloadTooLarge, 80_000),
        (#"{"topic":"x","data":"\#(String(repeating: "a", count: 8_000_000))"}"#, .payloadTooLarge, 80_000),
        (#"{"topic":"x","data":"\#(String(repeating: "\\u0041", count: 1_300_000))"}"#, .payloadTooLarge, 60_100),
        (#"{"topics":[\#(String(repeating: "\"\",", count: 2_700_000))""],"data":1}"#, .badRequest, 20),
        (#"{"topics":[\#(String(repeating: "\"a\",", count: 2_000_000))"a"],"data":1}"#, .badRequest, 450),
        (#"{"clients":[\#(String(repeating: "0,", count: 4_000_000))0],"data":1}"#, .badRequest, 20),
        (#"{"topic":"\#(String(repeating: "a", count: 8_000_000))","data":1}"#, .badRequest, 70_000),
        (#"{"key":"\#(String(repeating: "a", count: 8_000_000))","data":1}"#, .badRequest, 70_000),
        (#"{"other":[\#(String(repeating: "0,", count: 4_000_000))0]}"#, .badRequest, 20),
        (#"{"maxlen":[\#(String(repeating: "0,", count: 4_000_000))0]}"#, .badRequest, 20),
    ]

    @Test("is refused where it shows that it is too much, and no byte behind that is looked at")
    func early() {
        for (body, status, bytesMax) in PublishReaderTests.endless {
            var reader = PublishReader(limits: PublishReaderTests.limits)
            let problem = #expect(throws: HTTPProblem.self) { try PublishReaderTests.read(body, &reader) }
            #expect(problem?.status == status, "\(body.prefix(40)): \(problem?.message ?? "")")
            #expect(reader.position <= bytesMax, "\(body.prefix(40)): read \(reader.position)")
        }
    }

    @Test("counts \"all\" as a target, before and behind the others")
    func allIsOneMore() throws {
        func topics(_ count: Int) -> String { (0..<count).map { "\"t\($0)\"" }.joined(separator: ",") }
        func read(_ text: String) throws(HTTPProblem) -> PublishRequest {
            var reader = PublishReader(limits: PublishReaderTests.limits)
            return try PublishReaderTests.read(text, &reader)
        }
        #expect(try read(#"{"topics":[\#(topics(99))],"all":true,"data":1}"#).publications.count == 100)
        #expect(try read(#"{"topics":[\#(topics(100))],"all":false,"data":1}"#).publications.count == 100)
        for text in [
            #"{"topics":[\#(topics(100))],"all":true,"data":1}"#, #"{"all":true,"topics":[\#(topics(100))],"data":1}"#,
        ] {
            let problem = #expect(throws: HTTPProblem.self) { try read(text) }
            #expect(problem?.message == "more than 100 targets (the node's --max-targets)")
        }
    }

    @Test("means the same in whatever steps it is read", arguments: [1, 2, 3, 7, 64])
    func steps(_ step: Int) throws {
        let text =
            #" {"topics":["ä","b"],"client":"c","all":true, "data" : {"a":[1,"\u00e4"] } ,"event":"e","key":"k","once":"o","#
            + #""end":true,"maxlen":500,"ttl":600}"#
        var reader = PublishReader(limits: PublishReaderTests.limits)
        let publications = try PublishReaderTests.read(text, step: step, &reader).publications
        #expect(publications.map(\.target.description) == ["topic:ä", "topic:b", "client:c", "all"])
        let first = try #require(publications.first)
        let event = first.event
        #expect(String(buffer: event.data) == #"{"a":[1,"\u00e4"] }"#)
        #expect([event.type, event.key, first.once] == ["e", "k", "o"])
        #expect(event.ends && first.retention == Publication.Retention(maxlen: 500, ttl: 600))
    }

    @Test(
        "may ask no more of a log than the node allows; what it does not ask for is the node's own",
        arguments: [#""maxlen":501"#, #""ttl":601"#])
    func caps(_ member: String) throws {
        var reader = PublishReader(limits: PublishReaderTests.limits)
        let problem = #expect(throws: HTTPProblem.self) {
            try PublishReaderTests.read(#"{"topic":"t","data":1,\#(member)}"#, &reader)
        }
        #expect(problem?.message.contains("--max-log-") == true)
        reader = PublishReader(limits: PublishReaderTests.limits)
        let event = try #require(
            try PublishReaderTests.read(#"{"topic":"t","data":1}"#, &reader).publications.first)
        #expect(event.retention == Publication.Retention(maxlen: 10, ttl: 60))
    }

    @Test(
        "keeps a value's text to the byte, also a number's or a word's", arguments: ["-1.50e+3", "true", "[ 1 ]", "{}"])
    func verbatim(_ value: String) throws {
        var reader = PublishReader(limits: PublishReaderTests.limits)
        let request = try PublishReaderTests.read("{\"data\": \(value) ,\"topic\":\"t\"}", step: 1, &reader)
        #expect(request.publications.map { String(buffer: $0.event.data) } == [value])
    }
}
