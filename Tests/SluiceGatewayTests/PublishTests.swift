// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension NodeTests {
    @Suite("takes what is published over HTTP")
    struct PublishTests {
        /// `members` beside the topic, and what a browser then gets as the event's data.
        private static let accepted: [(members: String, data: String)] = [
            (#""data":"plain""#, "plain"), (#""data":"""#, ""), (#""data":" leading""#, " leading"),
            (#""data":"a\nb\r\nc\rd\n""#, "a\nb\nc\nd\n"), (#""data":"\u00e4\ud83d\ude00\u0000\t""#, "ä😀\0\t"),
            (#""data":"event: x\nid: 9\ndata: y\n\nretry: 1""#, "event: x\nid: 9\ndata: y\n\nretry: 1"),
            (#""data":  {"b" : 1.50,"a":[ 1e3,"\u0041" ] } "#, #"{"b" : 1.50,"a":[ 1e3,"\u0041" ] }"#),
            (#""data":[1,2]"#, "[1,2]"), (#""data":[]"#, "[]"), (#""data":12.50"#, "12.50"), (#""data":-0"#, "-0"),
            (#""data":1E400"#, "1E400"), (#""data":true"#, "true"), (#""data":false"#, "false"),
            (#""data_base64":"AAEC/w==""#, "AAEC/w=="), (#""data_base64":"""#, ""),
            (#""data":"x","event":"price""#, "x"), (#""data":"x","log":false"#, "x"), (#""data":"x","key":"k""#, "x"),
            (#""data":"x","maxlen":1,"ttl":1,"once":"o-1""#, "x"), ("\"data\":\n{\n}", "{\n}"),
        ]

        private static let refused = [
            #"{"topic":"t"}"#, #"{"topic":"t","data":null}"#, #"{"topic":"t","data":"a","data_base64":"YQ=="}"#,
            #"{"data":"x"}"#, #"{"topics":[],"data":"x"}"#, #"{"all":false,"data":"x"}"#, #"{"topic":1,"data":"x"}"#,
            #"{"topic":["t"],"data":"x"}"#, #"{"topics":"t","data":"x"}"#, #"{"topics":["t",1],"data":"x"}"#,
            #"{"topic":"","data":"x"}"#, #"{"topic":"a b","data":"x"}"#, #"{"client":"a{b}","data":"x"}"#,
            #"{"client":null,"data":"x"}"#, #"{"all":1,"data":"x"}"#, #"{"all":"true","data":"x"}"#,
            #"{"topic":"t","data_base64":"a"}"#, #"{"topic":"t","data_base64":1}"#,
            #"{"topic":"t","data_base64":"=a=="}"#,
            #"{"topic":"t","data_base64":"YW\n="}"#, #"{"topic":"t","data":"x","event":""}"#,
            #"{"topic":"t","data":"x","event":"a\nb"}"#, #"{"topic":"t","data":"x","event":"checkpoint"}"#,
            #"{"topic":"t","data":"x","event":"error"}"#, #"{"topic":"t","data":"x","event":1}"#,
            #"{"topic":"t","data":"x","key":"a\u0000"}"#, #"{"topic":"t","data":"x","end":"yes"}"#,
            #"{"topic":"t","data":"x","end":1}"#, #"{"topic":"t","data":"x","log":0}"#,
            #"{"topic":"t","data":"x","end":true,"log":false}"#, #"{"topic":"t","data":"x","maxlen":0}"#,
            #"{"topic":"t","data":"x","maxlen":1.5}"#, #"{"topic":"t","data":"x","maxlen":1000001}"#,
            #"{"topic":"t","data":"x","ttl":0}"#, #"{"topic":"t","data":"x","ttl":604801}"#,
            #"{"topic":"t","data":"x","ttl":"1h"}"#, #"{"topic":"t","data":"x","once":""}"#,
            #"{"topic":"t","data":"x","tpoic":"t"}"#, #"{"topic":"t","data":"x","data":"y"}"#,
            #"{"topic":"t","data":"x"} x"#, #"{"topic":"t","data":"x",}"#, #"{"topic":"t","data":01}"#,
            #"{"topic":"t","data":"\ud800"}"#, #"{"topic":"t","data":"\x"}"#, #"{'topic':'t','data':'x'}"#,
            "{\"topic\":\"t\",\"data\":\"\n\"}", #"{"topic":"t","data":NaN}"#, #"{"topic":"t","data":"x"#,
            #"{"topic":"t","data":\#(String(repeating: "[", count: 65))\#(String(repeating: "]", count: 65))}"#,
            "null", "\"x\"", "{}", "\u{FEFF}{\"topic\":\"t\",\"data\":\"x\"}",
        ]

        @Test("A key of another type under a log's name is a refusal of this target, not a state that passes")
        func wrongType() async throws {
            let test = try await TestNode.start(.redis)
            let redis = try #require(test.redis)
            try await redis.cli("SET", "sluice:topic:bad", "x")
            try await redis.cli("XADD", "sluice:topic:later", "99999999999999-0", "d", "x")
            for topic in ["bad", "later"] {
                let answer = try await TestSupport.publish(test.port, #"{"topic":"\#(topic)","data":"x"}"#)
                #expect(answer.status == 409 && answer["Retry-After"] == nil, "\(answer.text)")
            }
            #expect(try await TestSupport.publish(test.port, #"{"topic":"good","data":"x"}"#).status == 200)
        }

        @Test(
            "Every form of data arrives as it was meant, byte for byte where it is JSON",
            .timeLimit(.minutes(1)), arguments: BrokerKind.allCases)
        func data(broker: BrokerKind) async throws {
            let test = try await TestNode.start(broker)
            let stream = try await test.stream("/events?topic=t")
            for (members, _) in PublishTests.accepted {
                let answer = try await test.publish("{\(members),\"topic\":\"t\"}")
                let results = try #require(answer.json?["results"] as? [[String: Any]])
                #expect(results.count == 1)
                #expect(results.first?["to"] as? String == "topic:t")
                #expect(results.first?["nodes"] as? Int == 1)
                #expect(results.first?["id"] is NSNull == members.contains(#""log":false"#), "\(answer.text)")
            }
            #expect(await stream.receives(PublishTests.accepted.count))
            #expect(stream.data == PublishTests.accepted.map(\.data))
            #expect(stream.now.messages.filter { $0.type == "price" }.count == 1)
            #expect(stream.now.ignored.isEmpty)
        }

        @Test(
            "Every bad request is a 400, and nothing of it is published",
            .timeLimit(.minutes(1)), arguments: BrokerKind.allCases)
        func refused(broker: BrokerKind) async throws {
            let test = try await TestNode.start(broker)
            let stream = try await test.stream("/events?topic=t&client=c")
            for json in PublishTests.refused {
                let answer = try await publish(test.port, json)
                #expect(answer.status == 400, "\(json): \(answer.text)")
                #expect(answer.json?["error"] as? String == "bad_request", "\(json): \(answer.text)")
                #expect((answer.json?["message"] as? String)?.contains("\n") == false, "\(json)")
            }
            try await test.publish(#"{"topic":"t","data":"good"}"#)
            #expect(await stream.receives(1))
            #expect(stream.data == ["good"])
        }

        @Test(
            "Several kinds of target can be combined; each is published to once, in the order of the answer",
            .timeLimit(.minutes(1)), arguments: BrokerKind.allCases)
        func targets(broker: BrokerKind) async throws {
            let test = try await TestNode.start(broker)
            let streams = [
                try await test.stream("/events?topic=a"), try await test.stream("/events?topic=b&client=c"),
                try await test.stream("/events?client=d"),
            ]
            let answer = try await test.publish(
                #"{"topic":"a","topics":["a","b","ü"],"client":"c","clients":["c","d"],"all":true,"data":"x"}"#)
            let results = try #require(answer.json?["results"] as? [[String: Any]])
            let targets = results.compactMap { $0["to"] as? String }
            #expect(targets == ["topic:a", "topic:b", "topic:ü", "client:c", "client:d", "all"])
            #expect(results.compactMap { $0["nodes"] as? Int } == [1, 1, 0, 1, 1, 1])
            for (stream, count) in zip(streams, [2, 3, 2]) {
                #expect(await stream.receives(count))
                #expect(stream.data == Array(repeating: "x", count: count))
            }
        }

        @Test(
            "A batch has one result a line, and a bad line does not stop the others",
            .timeLimit(.minutes(1)), arguments: BrokerKind.allCases)
        func batch(broker: BrokerKind) async throws {
            let test = try await TestNode.start(broker)
            let stream = try await test.stream("/events?topic=t")
            var body = Array("{\"topic\":\"t\",\"data\":\"1\"}\r\n\n{\"topic\":\"t\",\"data\":}\n".utf8)
            body += Array("{\"topic\":\"t\",\"data\":\"".utf8) + [0xFF] + Array("\"}\n  \n".utf8)
            body += Array("{\"topic\":\"t\",\"topics\":[\"u\"],\"data\":\"2\"}\n".utf8)
            for number in 3...200 { body += Array("{\"topic\":\"t\",\"data\":\"\(number)\"}\n".utf8) }
            body.removeLast()
            let answer = try await request(
                test.port, "POST", "/publish", headers: ["Content-Type": "application/x-ndjson; charset=utf-8"],
                body: body)
            #expect(answer.status == 200)
            #expect(answer["Content-Type"] == "application/x-ndjson")
            #expect(answer.text.hasSuffix("\n"))
            let lines = try answer.text.split(separator: "\n").map {
                try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
            }
            try #require(lines.count == 202)
            #expect(lines.map { $0["error"] == nil } == [true, false, false] + Array(repeating: true, count: 199))
            #expect(lines[1]["error"] as? String == "bad_request")
            #expect((lines[3]["results"] as? [Any])?.count == 2)
            #expect(await stream.receives(200))
            #expect(stream.data == (1...200).map(String.init))
        }

        @Test("A body that is not UTF-8 is a 400", .timeLimit(.minutes(1)), arguments: BrokerKind.allCases)
        func invalidUTF8(broker: BrokerKind) async throws {
            let test = try await TestNode.start(broker)
            for bytes: [UInt8] in [
                [0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82],
            ] {
                let body = Array(#"{"topic":"t","data":""#.utf8) + bytes + Array(#""}"#.utf8)
                let answer = try await request(
                    test.port, "POST", "/publish", headers: ["Content-Type": "application/json"], body: body)
                #expect(answer.status == 400)
                let form = try await request(
                    test.port, "POST", "/push?client_id=c", body: Array("message=".utf8) + bytes)
                #expect(form.status == 400)
            }
        }

        @Test(
            "The same once token publishes once and answers the same",
            .timeLimit(.minutes(1)), arguments: BrokerKind.allCases)
        func once(broker: BrokerKind) async throws {
            let test = try await TestNode.start(broker)
            let stream = try await test.stream("/events?topic=t&topic=u")
            let first = try await test.publish(#"{"topic":"t","data":"1","once":"o"}"#)
            let second = try await test.publish(#"{"topic":"t","data":"2","once":"o"}"#)
            #expect(first.text == second.text)
            try await test.publish(#"{"topic":"u","data":"3","once":"o"}"#)
            #expect(await stream.receives(2))
            #expect(stream.data == ["1", "3"])
        }

        @Test(
            "What the articles call /sse and /push are the same streams and the same publishing",
            .timeLimit(.minutes(1)), arguments: BrokerKind.allCases)
        func articles(broker: BrokerKind) async throws {
            let test = try await TestNode.start(broker)
            let sse = try await test.stream("/sse?client_id=c%C3%A4")
            let events = try await test.stream("/events?client=c%C3%A4")
            let stream = try await test.stream("/stream/?user_id=c%C3%A4")
            let other = try await test.stream("/sse?client_id=other")
            let form = ["Content-Type": "application/x-www-form-urlencoded"]
            let requests: [(String, String, String?)] = [
                ("GET", "/push?client_id=c%C3%A4&message=hello+world%21", nil),
                ("POST", "/push?client_id=c%C3%A4&message=query", nil),
                ("POST", "/push", "client_id=c%C3%A4&message=form+%26%0Alines"),
                ("POST", "/push?client_id=c%C3%A4", "message=both"),
                ("GET", "/push?user_id=c%C3%A4&message=", nil),
            ]
            for (method, target, body) in requests {
                let answer = try await request(
                    test.port, method, target, headers: form, body: body.map { Array($0.utf8) })
                #expect(answer.status == 200, "\(target)")
                #expect(answer.text == "success", "\(target)")
            }
            for stream in [sse, events, stream] {
                #expect(await stream.receives(requests.count))
                #expect(stream.data == ["hello world!", "query", "form &\nlines", "both", ""])
                #expect(stream.now.messages.allSatisfy { $0.type == "message" })
            }
            #expect(other.data.isEmpty)
            let twice = try await request(
                test.port, "POST", "/push?client_id=a", body: Array("client_id=b&message=m".utf8))
            #expect(twice.status == 400)
        }
    }
}
