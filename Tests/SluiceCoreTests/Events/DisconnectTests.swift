// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Testing

@Suite("Disconnect")
struct DisconnectTests {
    @Test(
        "An order is read as it is documented",
        arguments: [
            (#"{"disconnect":"alice"}"#, "alice", nil), (#"{"disconnect":"alice","reconnect":true}"#, "alice", nil),
            (#"{"disconnect":"alice","reconnect":true,"seconds":5}"#, "alice", nil),
            (#"{"disconnect":"alice","seconds":5}"#, "alice", nil),
            (#"{"disconnect":"alice","reconnect":false}"#, "alice", 300),
            (#" { "seconds" : 1 , "reconnect" : false , "disconnect" : "\u00e4*" } "#, "ä*", 1),
            (#"{"disconnect":"all","reconnect":false,"seconds":86400}"#, "all", 86400),
        ] as [(String, String, Int64?)])
    func reads(json: String, client: String, seconds: Int64?) throws {
        let order = try Disconnect(json: json)
        #expect(order == Disconnect(client: client, exile: seconds.map { .seconds($0) }))
    }

    @Test(
        "An order with a fault is none, and says where the fault is",
        arguments: [
            ("", ""), ("[]", ""), ("{}", "disconnect"), (#"{"disconnect":7}"#, "disconnect"),
            (#"{"disconnect":""}"#, "client"), (#"{"disconnect":"a b"}"#, "client"),
            (#"{"disconnect":"a\u0000"}"#, "client"), (#"{"disconnect":"{a}"}"#, "client"),
            (#"{"disconnect":"a","reconnect":null}"#, "reconnect"), (#"{"disconnect":"a","reconnect":0}"#, "reconnect"),
            (#"{"disconnect":"a","seconds":0}"#, "seconds"), (#"{"disconnect":"a","seconds":86401}"#, "seconds"),
            (#"{"disconnect":"a","seconds":1.0}"#, "seconds"), (#"{"disconnect":"a","seconds":"1"}"#, "seconds"),
            (#"{"disconnect":"a","seconds":null}"#, "seconds"), (#"{"disconnect":"a","other":1}"#, "other"),
            (#"{"disconnect":"a","disconnect":"b"}"#, ""), (#"{"disconnect":"a"}x"#, ""),
        ])
    func refuses(json: String, word: String) throws {
        let problem = try #require(throws: Disconnect.Malformed.self) { try Disconnect(json: json) }
        #expect(problem.description.contains(word))
    }

    @Test(
        "What a node writes another reads, whatever the client's name holds",
        arguments: ["alice", "\"", "\\", "ä", "a/b", "'*?[a]", String(repeating: "\"", count: 255)])
    func roundTrip(client: String) throws {
        for exile in [nil, TimeAmount.seconds(1), .seconds(86400)] {
            let order = Disconnect(client: client, exile: exile)
            #expect(try Disconnect(json: order.json) == order)
            // A node reads no order that is longer.
            #expect(order.json.utf8.count <= 4096)
        }
    }
}
