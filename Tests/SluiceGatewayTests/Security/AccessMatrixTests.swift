// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

extension NodeTests {
    /// Who may do what.
    @Suite("lets everybody do what they may, and no more")
    struct AccessMatrixTests {
        /// Method and target, and what comes of it for: nobody | a subscriber | a publisher | an administrator | whoever's
        /// token is not good. `open` is a stream; a status stands for its code, too (``codes``); `200/403` is an answer
        /// in lines, of which the first is a refusal. LINES and FORM are a POST with such a body, which follows the target.
        private static let table = """
            GET     /events?client=alice                               401  open 403  open 401
            GET     /events?client=bob                                 401  403  403  open 401
            GET     /events?client=backend                             401  403  open open 401
            GET     /events?topic=news                                 401  open 403  open 401
            GET     /events?topic=orders.7                             401  open 403  open 401
            GET     /events?topic=orders                               401  403  403  open 401
            GET     /events?topic=public.news                          open open open open 401
            GET     /events?topic=public                               401  403  403  open 401
            GET     /events?topic=secret                               401  403  403  open 401
            GET     /events?topic=never.heard.of                       401  403  403  open 401
            GET     /events?topic=news&topic=secret                    401  403  403  open 401
            GET     /events?topic=news&client=alice                    401  open 403  open 401
            GET     /events?topic=public.news&client=bob               401  403  403  open 401
            GET     /events?topic=secret&last_event_id=earliest        401  403  403  open 401
            GET     /events?topic=news&client=                         400  400  400  400  401
            GET     /events                                            open open open open 401
            GET     /stream/?user_id=alice                             401  open 403  open 401
            GET     /sse?channel=public.news                           open open open open 401
            GET     /sse?channel=secret                                401  403  403  open 401
            HEAD    /events?topic=news                                 401  200  403  200  401
            HEAD    /events?topic=secret                               401  403  403  200  401
            HEAD    /events?client=alice                               401  200  403  200  401
            OPTIONS /events?topic=secret                               204  204  204  204  204
            POST    /events?topic=news {}                              405  405  405  405  405
            GET     /sse?client_id=alice                               401  open 403  open 401
            GET     /sse?client_id=bob                                 401  403  403  open 401
            HEAD    /sse?client_id=alice                               401  200  403  200  401
            OPTIONS /sse                                               204  204  204  204  204
            POST    /publish {"topic":"news","data":"x"}               401  403  200  200  401
            POST    /publish {"topic":"secret","data":"x"}             401  403  403  200  401
            POST    /publish {"topics":["news","secret"],"data":"x"}   401  403  403  200  401
            POST    /publish {"client":"alice","data":"x"}             401  403  200  200  401
            POST    /publish {"client":"bob","data":"x"}               401  403  403  200  401
            POST    /publish {"topic":"public.news","data":"x"}        401  403  403  200  401
            POST    /publish {"all":true,"data":"x"}                   401  403  403  200  401
            POST    /publish {                                         401  403  400  400  401
            LINES   /publish {"topic":"news","data":"x"}               401  403  200  200  401
            LINES   /publish {"topic":"secret","data":"x"}             401  403  200/403 200 401
            LINES   /publish {"all":true,"data":"x"}                   401  403  200/403 200 401
            GET     /publish                                           405  405  405  405  405
            OPTIONS /publish                                           204  204  204  204  204
            GET     /push?client_id=alice&message=m                    401  403  200  200  401
            GET     /push?client_id=bob&message=m                      401  403  403  200  401
            FORM    /push client_id=alice&message=m                    401  403  200  200  401
            FORM    /push client_id=bob&message=m                      401  403  403  200  401
            OPTIONS /push                                              204  204  204  204  204
            PUT     /push?client_id=alice&message=m                    405  405  405  405  405
            DELETE  /clients/nobody                                    401  403  403  200  401
            DELETE  /clients/alice                                     401  403  403  200  401
            DELETE  /clients/nobody?reconnect=false&seconds=1          401  403  403  200  401
            DELETE  /clients/                                          401  403  403  400  401
            DELETE  /clients/a%20b                                     401  403  403  400  401
            GET     /clients/alice                                     401  403  200  200  401
            HEAD    /clients/alice                                     401  403  200  200  401
            GET     /clients/bob                                       401  403  403  200  401
            GET     /clients/a%20b                                     400  400  400  400  401
            PUT     /clients/alice                                     405  405  405  405  405
            GET     /topics/news                                       401  403  200  200  401
            GET     /topics/secret                                     401  403  403  200  401
            GET     /topics/public.news                                401  403  403  200  401
            DELETE  /topics/news                                       405  405  405  405  405
            OPTIONS /topics/news                                       204  204  204  204  204
            POST    /presence {"clients":["alice"],"topics":["news"]}  401  403  200  200  401
            POST    /presence {"clients":["alice","bob"]}              401  403  403  200  401
            POST    /presence {                                        401  403  400  400  401
            GET     /presence                                          405  405  405  405  405
            POST    /clients/alice/pause {"seconds":1}                 401  403  403  200  401
            POST    /clients/alice/pause {"seconds":0}                 401  403  403  400  401
            POST    /clients//pause {"seconds":1}                      401  403  403  400  401
            GET     /clients/alice/pause                               405  405  405  405  405
            OPTIONS /clients/alice/pause                               204  204  204  204  204
            GET     /nodes                                             404  404  404  404  404
            OPTIONS /clients/alice                                     204  204  204  204  204
            GET     /                                                  200  200  200  200  200
            HEAD    /                                                  200  200  200  200  200
            POST    / {}                                               405  405  405  405  405
            GET     /healthz                                           200  200  200  200  200
            GET     /readyz                                            200  200  200  200  200
            GET     /metrics                                           404  404  404  404  404
            GET     /dashboard                                         404  404  404  404  404
            GET     /nothing/here                                      404  404  404  404  404
            POST    /nothing/here {}                                   404  404  404  404  404
            GET     /events/nothing                                    404  404  404  404  404
            """

        /// The same on the admin listener, whom its address protects.
        private static let adminTable = """
            GET     /metrics                                           200  200  200  200  200
            GET     /dashboard                                         200  200  200  200  200
            GET     /nodes                                             200  200  200  200  200
            GET     /healthz                                           200  200  200  200  200
            GET     /readyz                                            200  200  200  200  200
            POST    /metrics {}                                        405  405  405  405  405
            GET     /                                                  404  404  404  404  404
            GET     /events?topic=public.news                          404  404  404  404  404
            POST    /publish {"topic":"news","data":"x"}               404  404  404  404  404
            DELETE  /clients/nobody                                    404  404  404  404  404
            """

        private static let codes = [
            400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed",
        ]

        private struct Row {
            let method: String
            let target: String
            let body: String?
            private let cells: [String]

            init(_ line: Substring) {
                let words = line.split(separator: " ").map(String.init)
                method = words[0]
                target = words[1]
                body = words.count > 7 ? words[2] : nil
                cells = words.suffix(5)
            }

            func expected(for visitor: Visitor) -> String {
                switch visitor {
                case .anonymous: cells[0]
                case .subscriber: cells[1]
                case .publisher: cells[2]
                case .admin: cells[3]
                case .expired, .notYetValid, .wrongAudience, .wrongIssuer, .wrongKey, .algorithmNone, .garbage: cells[4]
                }
            }

            /// What the node answers, written as in the table.
            func outcome(_ port: Int, _ token: String?) async throws -> String {
                let (method, type) =
                    switch method {
                    case "LINES": ("POST", "application/x-ndjson")
                    case "FORM": ("POST", "application/x-www-form-urlencoded")
                    case "POST": ("POST", "application/json")
                    default: (method, "")
                    }
                var headers = GuardedNode.bearer(token).map { ($0.key, $0.value) }
                if !type.isEmpty { headers.append(("Content-Type", type)) }
                let knock = try await Knock(
                    port, target, method: method, headers: headers, body: body.map { Array($0.utf8) })
                knock.close()
                guard knock.fate != .stream, let answer = knock.answer else {
                    return knock.fate == .stream ? "open" : "\(knock.fate)"
                }
                let code = answer.json?["error"] as? String
                if answer.status == 200, let code {
                    return "200/\(AccessMatrixTests.codes.first { $0.value == code }?.key ?? 0)"
                }
                let isConsistent =
                    answer.status < 400 || method == "HEAD" || code == AccessMatrixTests.codes[answer.status]
                return isConsistent ? "\(answer.status)" : "\(answer.status) \(code ?? "")"
            }
        }

        @Test("Every route and method, for everybody who may come", .timeLimit(.minutes(2)))
        func matrix() async throws {
            let guarded = try await GuardedNode()
            for (table, port) in [
                (AccessMatrixTests.table, guarded.port), (AccessMatrixTests.adminTable, guarded.node.adminPort),
            ] {
                let rows = table.split(separator: "\n").map { Row($0) }
                for visitor in Visitor.allCases {
                    let token = try await visitor.token()
                    for row in rows {
                        let outcome = try await row.outcome(port, token)
                        let name = "\(visitor): \(row.method) \(row.target) \(row.body ?? "")"
                        #expect(outcome == row.expected(for: visitor), "\(name)")
                    }
                }
            }
            #expect(await eventually { try await guarded.node.metric("streams") == 0 })
            #expect(try await guarded.node.metric("requests_refused_total{code=\"401\"}") > 0)
            #expect(try await guarded.node.metric("requests_refused_total{code=\"403\"}") > 0)
        }

        @Test(
            "What is published to everybody is for whoever may subscribe to something, and for no other",
            .timeLimit(.minutes(1)))
        func everybody() async throws {
            // Nobody may have anything without a token here.
            let guarded = try await GuardedNode(anonymous: nil)
            let grants: [(Token?, String)] = [
                (nil, "401"), (Token(sub: nil, sluice: .init(publish: ["*"])), "403"),
                (Token(sub: nil, sluice: .init(subscribe: ["news"])), "open"),
                (Token(sub: "alice", sluice: .init()), "open"), (Token(), "open"),
            ]
            for (token, expected) in grants {
                for target in ["/events", "/sse/", "/stream?checkpoints=0"] {
                    let row = Row("GET \(target) \(expected) \(expected) \(expected) \(expected) \(expected)")
                    #expect(try await row.outcome(guarded.port, try await token?.signed()) == expected, "\(target)")
                }
            }
        }

        @Test("Where one target of a publish is forbidden nothing of it is published", .timeLimit(.minutes(1)))
        func allOrNothing() async throws {
            let guarded = try await GuardedNode()
            let stream = try await guarded.stream("/events?topic=news", try await Visitor.subscriber.token())
            let publisher = try await Visitor.publisher.token()
            #expect(try await guarded.publish(#"{"topics":["news","secret"],"data":"1"}"#, publisher).status == 403)
            #expect(try await guarded.publish(#"{"topic":"news","all":true,"data":"2"}"#, publisher).status == 403)
            #expect(try await guarded.publish(#"{"topic":"news","data":"3"}"#, publisher).status == 200)
            #expect(await stream.receives(1))
            #expect(stream.data == ["3"])
        }

        @Test(
            "A topic that is forbidden and one that nobody has ever heard of get the same answer, byte for byte but for the name",
            .timeLimit(.minutes(1)), arguments: [Visitor.anonymous, .subscriber])
        func sameAnswer(visitor: Visitor) async throws {
            let guarded = try await GuardedNode()
            let admin = try await Visitor.admin.token()
            // It has a listener and a log.
            let stream = try await guarded.stream("/events?topic=secret1", admin)
            #expect(try await guarded.publish(#"{"topic":"secret1","data":"x"}"#, admin).status == 200)
            #expect(await stream.receives(1))
            let headers = GuardedNode.bearer(try await visitor.token()).map { ($0.key, $0.value) }
            for method in ["GET", "HEAD"] {
                var answers: [String] = []
                for topic in ["secret1", "nowhere"] {
                    let connection = try await HTTPConnection(port: guarded.port)
                    let fields = headers.map { "\($0): \($1)\r\n" }.joined()
                    try await connection.send(
                        "\(method) /events?topic=\(topic)&last_event_id=earliest HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\(fields)\r\n"
                    )
                    let bytes = try await connection.socket.receiveAll()
                    let answer = String(decoding: bytes, as: UTF8.self).replacing(topic, with: "TOPIC")
                    // The two may fall into different seconds.
                    answers.append(answer.replacing(/Date: [^\r]*\r\n/, with: ""))
                }
                #expect(answers[0] == answers[1])
                #expect(answers[0].hasPrefix(visitor == .anonymous ? "HTTP/1.1 401 " : "HTTP/1.1 403 "))
            }
        }
    }
}
