// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Testing

@Suite("A message of the control channel")
struct ControlMessageTests {
    private func read(_ json: String) throws(MalformedMessage) -> ControlMessage.Reading {
        let bytes = Array(json.utf8)
        let result = bytes.withUnsafeBytes { bytes in
            Result { () throws(MalformedMessage) in try ControlMessage.read(bytes) }
        }
        return try result.get()
    }

    @Test(
        "An order to disconnect is read as it is documented",
        arguments: [
            (#"{"disconnect":"alice"}"#, "alice", nil), (#"{"disconnect":"alice","reconnect":true}"#, "alice", nil),
            (#"{"disconnect":"alice","reconnect":true,"seconds":5}"#, "alice", nil),
            (#"{"disconnect":"alice","seconds":5}"#, "alice", nil),
            (#"{"disconnect":"alice","reconnect":false}"#, "alice", 300),
            (#" { "seconds" : 1 , "reconnect" : false , "disconnect" : "\u00e4*" } "#, "ä*", 1),
            (#"{"disconnect":"all","reconnect":false,"seconds":86400}"#, "all", 86400),
        ] as [(String, String, Int64?)])
    func disconnect(json: String, client: String, seconds: Int64?) throws {
        let order = Disconnect(client: client, exile: seconds.map { .seconds($0) })
        #expect(try read(json) == ControlMessage.Reading(message: .disconnect(order), unknown: 0))
    }

    @Test("A pause and a survey are read as they are documented")
    func others() throws {
        #expect(
            try read(#"{"pause":"ann","seconds":60}"#)
                == ControlMessage.Reading(message: .pause(Pause(client: "ann", seconds: 60)), unknown: 0))
        let question = SurveyQuestion(
            id: "1", asker: "n1", targets: [try .client("ann"), try .topic("a\"b")], wantsReport: true)
        let json = #"{"survey":"1","from":"n1","clients":["ann"],"topics":["a\"b"],"report":true}"#
        #expect(try read(json) == ControlMessage.Reading(message: .survey(question), unknown: 0))
        #expect(ControlMessage.survey(question).json == json)
    }

    @Test(
        "What a later version has added is counted and ignored, and the rest obeyed",
        arguments: [
            (#"{"disconnect":"a","colour":{"red":[1]}}"#, true, 1),
            (#"{"pause":"a","seconds":1,"why":"x","and":null}"#, true, 2),
            (#"{"survey":"1","from":"n","depth":3}"#, true, 1), (#"{"rebalance":true}"#, false, 1), ("{}", false, 1),
            (#"{"DISCONNECT":"a"}"#, false, 1),
        ])
    func later(json: String, isObeyed: Bool, unknown: Int) throws {
        let reading = try read(json)
        #expect((reading.message != nil) == isObeyed && reading.unknown == unknown)
    }

    @Test(
        "One with a fault is none, and says where the fault is",
        arguments: [
            ("", ""), ("[]", ""), (#"{"disconnect":7}"#, "disconnect"), (#"{"disconnect":""}"#, "client"),
            (#"{"disconnect":"a b"}"#, "client"), (#"{"disconnect":"a\u0000"}"#, "client"),
            (#"{"disconnect":"{a}"}"#, "client"), (#"{"disconnect":"a","reconnect":null}"#, "reconnect"),
            (#"{"disconnect":"a","reconnect":0}"#, "reconnect"), (#"{"disconnect":"a","seconds":0}"#, "seconds"),
            (#"{"disconnect":"a","seconds":86401}"#, "seconds"), (#"{"disconnect":"a","seconds":1.0}"#, "seconds"),
            (#"{"disconnect":"a","seconds":"1"}"#, "seconds"), (#"{"disconnect":"a","seconds":null}"#, "seconds"),
            (#"{"disconnect":"a","disconnect":"b"}"#, ""), (#"{"disconnect":"a"}x"#, ""),
            (#"{"pause":"a"}"#, "seconds"), (#"{"pause":"a","seconds":0}"#, "seconds"),
            (#"{"pause":1,"seconds":1}"#, "pause"), (#"{"survey":"1"}"#, "from"),
            (#"{"survey":"","from":"n"}"#, "survey"), (#"{"survey":"1","from":"a:b"}"#, "from"),
            (#"{"survey":"1","from":"n","clients":"ann"}"#, "clients"),
            (#"{"survey":"1","from":"n","clients":["a b"]}"#, "clients"),
            (#"{"survey":"1","from":"n","topics":[["a"]]}"#, "topics"),
            (#"{"survey":"1","from":"n","report":1}"#, "report"),
            (#"{"disconnect":"a"}"# + String(repeating: " ", count: 5000), "long"),
            (#"{"survey":"1"}"# + String(repeating: " ", count: 700_000), "long"),
            (#"{"survey":"1","from":"n","topics":["# + String(repeating: "\"a\",", count: 1000) + "\"b\"]}", "1000"),
        ])
    func refuses(json: String, word: String) throws {
        let problem = try #require(throws: MalformedMessage.self) { try read(json) }
        #expect(problem.description.contains(word), "\(problem)")
    }

    @Test(
        "What a node writes another reads, whatever the names hold and however many there are",
        arguments: ["alice", "\"", "\\", "ä", "a/b", "'*?[a]", String(repeating: "\"", count: 255)])
    func roundTrip(name: String) throws {
        let longest = try (0..<SurveyQuestion.namesMax).map {
            try Target.client(String(repeating: "\"", count: 250) + "\($0)")
        }
        let messages: [ControlMessage] = [
            .disconnect(Disconnect(client: name, exile: nil)),
            .disconnect(Disconnect(client: name, exile: .seconds(86400))), .pause(Pause(client: name, seconds: 86400)),
            .survey(
                SurveyQuestion(
                    id: "x", asker: "n", targets: [try .client(name), try .topic(name)], wantsReport: false)),
            .survey(SurveyQuestion(id: "x", asker: "n", targets: longest, wantsReport: false)),
        ]
        for message in messages {
            #expect(try read(message.json) == ControlMessage.Reading(message: message, unknown: 0))
        }
    }
}
