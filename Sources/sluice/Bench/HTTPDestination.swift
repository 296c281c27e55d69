// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceGateway

/// `POST`, on one connection, several under way at a time.
final class HTTPDestination: BenchDestination {
    private let connection: WebConnection
    private let target: BenchTemplate
    private let body: BenchTemplate?
    private let headers: HTTPHeaders

    init(
        _ connection: WebConnection, host: String, target: BenchTemplate, body: BenchTemplate?,
        headers: [HeaderArgument]
    ) {
        self.connection = connection
        self.target = target
        self.body = body
        var fields: HTTPHeaders = ["Host": host, "User-Agent": "sluice-bench"]
        fields.add(name: "Content-Type", value: body == nil ? "text/plain" : "application/json")
        for header in headers { fields.replaceOrAdd(name: header.name, value: header.value) }
        self.headers = fields
    }

    func publish(_ payload: ByteBuffer, topic: Int) -> EventLoopFuture<Int?> {
        let data = String(buffer: payload)
        let content: ByteBuffer
        if let body {
            content = ByteBuffer(string: body.text(topic: topic, data: data))
        } else {
            content = target.hasData ? ByteBuffer() : payload
        }
        return connection.post(target.text(topic: topic, data: data), headers: headers, body: content)
            .flatMapThrowing { reply in
                guard (200..<300).contains(reply.status.code) else {
                    throw Failure("\(ServerMessage(status: reply.status, body: String(buffer: reply.body)))")
                }
                return nil
            }
    }

    func close() {
        connection.close()
    }
}

@available(*, unavailable)
extension HTTPDestination: Sendable {}
