// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceClient
import SluiceCore
import SluiceRedis
import SluiceWeb

/// Where messages go.
package enum Destination: Sendable {
    /// Streams are only opened and held.
    case none
    /// `PUBLISH`, or `FCALL sluice_publish`.
    case redis(RedisURL, certificateAuthority: String?, channel: Template, isLogged: Bool)
    /// `POST`, on one connection, several under way at a time. body: nil for the payload itself.
    case http(WebDialer, target: Template, body: Template?, headers: [HeaderField])

    /// Publishes a payload to a topic; gives the number of nodes that heard it, where that is known. Confined to its event loop.
    typealias Publish = (_ payload: ByteBuffer, _ topic: Int) -> EventLoopFuture<Int?>

    private static let redisTimeout = TimeAmount.seconds(30)

    /// - Returns: nil if nothing is to be published.
    /// - Throws: ``ClientError``.
    func connect(on loop: any EventLoop) async throws -> NIOLoopBound<Publish>? {
        switch self {
        case .none: return nil
        case .redis(let url, let certificateAuthority, let channel, let isLogged):
            let endpoint: RedisEndpoint
            do {
                endpoint = try RedisEndpoint(
                    url: url, certificateAuthority: certificateAuthority, clientName: "sluice-bench")
            } catch { throw ClientError("can't read the certificates", error) }
            if url.kind == .cluster {
                return try await ClusterDestination.connect(
                    seeds: url.hosts, endpoint, channel: channel, isLogged: isLogged, on: loop)
            }
            let connection = try await RedisLocator(url, endpoint, on: loop).connect(
                on: loop, installingFunction: isLogged)
            return try await loop.submit {
                let connection = connection.value
                let publish: Publish = { payload, topic in
                    let name = channel.text(topic: topic)
                    let command = isLogged ? SluiceFunction.publish(payload, to: name) : .publish(payload, on: name)
                    return connection.send(command, timeout: Destination.redisTimeout).map { Receipt(reply: $0)?.nodes }
                }
                return NIOLoopBound(publish, eventLoop: loop)
            }.get()
        case .http(let dialer, let target, let body, let headers):
            do {
                return try await WebConnection.connect(dialer, on: loop).map { connection in
                    var fields: HTTPHeaders = ["Host": dialer.address.hostHeader, "User-Agent": "sluice-bench"]
                    fields.add(name: "Content-Type", value: body == nil ? "text/plain" : "application/json")
                    for header in headers { fields.replaceOrAdd(name: header.name, value: header.value) }
                    return NIOLoopBound(
                        Destination.post(connection.value, target: target, body: body, headers: fields), eventLoop: loop
                    )
                }.get()
            } catch { throw ClientError("can't connect to \(dialer.address)", error) }
        }
    }

    private static func post(
        _ connection: WebConnection, target: Template, body: Template?, headers: HTTPHeaders
    ) -> Publish {
        { payload, topic in
            let data = String(buffer: payload)
            let content = body.map { ByteBuffer(string: $0.text(topic: topic, data: data)) }
            return connection.post(
                target.text(topic: topic, data: data), headers: headers,
                body: content ?? (target.hasData ? ByteBuffer() : payload)
            ).flatMapThrowing { reply in
                if (200..<300).contains(reply.status.code) { return nil }
                throw ClientError("\(ServerMessage(status: reply.status, body: String(buffer: reply.body)))")
            }
        }
    }
}
