// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import NIOPosix
import SluiceCore
import SluiceWeb

/// Asks a node something with one `GET`, which it answers in JSON.
package struct NodeQuery: Sendable {
    /// A node takes a quarter of a second to find out that another is dead, and two to find out that Redis is.
    private static let replyTimeout = TimeAmount.seconds(10)

    private let dialer: WebDialer
    private let token: String?

    /// - Throws: ``ClientError`` for certificates that can't be read.
    package init(_ address: WebAddress, token: String?, certificateAuthority: String?) throws(ClientError) {
        do { dialer = try WebDialer(address, certificateAuthority: certificateAuthority) } catch {
            throw ClientError(error.description)
        }
        self.token = token
    }

    /// - Returns: the text of an object, and its members.
    package func get(
        _ target: String
    ) async throws(ClientError) -> (text: String, members: [ExactText: JSONText.Member]) {
        var headers: HTTPHeaders = [
            "Host": dialer.address.hostHeader, "User-Agent": "sluice", "Accept": "application/json",
        ]
        if let token { headers.add(name: "Authorization", value: "Bearer \(token)") }
        let reply: WebConnection.Reply
        do { reply = try await fetch(target, headers) } catch { throw ClientError("\(dialer.address)", error) }
        let text = String(buffer: reply.body)
        guard reply.status == .ok else {
            throw ClientError("the server answered \(ServerMessage(status: reply.status, body: text))")
        }
        guard let members = try? JSONText.object(text) else {
            throw ClientError("\(dialer.address) gave an answer that is not known")
        }
        return (text, members)
    }

    private func fetch(_ target: String, _ headers: HTTPHeaders) async throws -> WebConnection.Reply {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let limits = WebConnection.Limits(replyTimeout: NodeQuery.replyTimeout)
        let connection = try await WebConnection.connect(dialer, on: loop, limits: limits).get()
        let reply = loop.flatSubmit { connection.value.get(target, headers: headers) }
        reply.whenComplete { _ in connection.value.close() }
        return try await reply.get()
    }
}
