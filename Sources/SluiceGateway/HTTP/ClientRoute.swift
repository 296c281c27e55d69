// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// `DELETE /clients/<id>`: ends the client's streams on every node; `?reconnect=false` keeps it away for a time.
/// `POST /clients/<id>/pause`: ends them, too, and tells the client when to come back.
struct ClientRoute: Sendable {
    private static let bodyBytesMax = 1024

    let hub: Confined<Hub>

    @Sendable func disconnect(_ request: AuthorizedRequest) throws(HTTPProblem) -> AuthorizedRequest.Outcome {
        let (head, id) = (request.head, request.head.name)
        guard request.grant.isAdmin else { throw head.refused("this needs a token with sluice.admin") }
        _ = try ClientRoute.client(id)
        var seconds = Disconnect.secondsDefault
        if let text = try head.query.one("seconds") {
            guard let number = Int(text), Disconnect.secondsRange.contains(number) else {
                throw .badRequest("seconds takes a whole number from 1 to \(Disconnect.secondsRange.upperBound)")
            }
            seconds = number
        }
        let mayReturn = try head.query.flag("reconnect", default: true)
        let order = Disconnect(client: id, exile: mayReturn ? nil : .seconds(Int64(seconds)))
        let hub = hub
        return .later(
            hub.eventLoop.flatSubmit { hub.value.order(.disconnect(order)) }.map { nodes in
                Answer(json: "{\"client\":\(JSONText.quoted(id)),\"nodes\":\(nodes)}")
            })
    }

    @Sendable func pause(_ request: AuthorizedRequest) throws(HTTPProblem) -> AuthorizedRequest.Outcome {
        let (head, id) = (request.head, request.head.name)
        guard request.grant.isAdmin else { throw head.refused("this needs a token with sluice.admin") }
        _ = try ClientRoute.client(id)
        let hub = hub
        let order = Pause(client: id, seconds: try ClientRoute.seconds(request.body))
        return .later(
            hub.eventLoop.flatSubmit { hub.value.order(.pause(order)) }.map { nodes in
                Answer(json: "{\"client\":\(JSONText.quoted(id)),\"nodes\":\(nodes)}")
            })
    }

    /// `{"seconds": 60}`
    private static func seconds(_ body: ByteBuffer) throws(HTTPProblem) -> Int {
        guard body.readableBytes <= bodyBytesMax else { throw .bodyTooLarge(bodyBytesMax) }
        let members: [ExactText: JSONText.Member]
        do { members = try JSONText.object(String(buffer: body)) } catch {
            throw .badRequest("the JSON is malformed: \(error)")
        }
        if let name = members.keys.first(where: { $0 != "seconds" }) {
            throw .badRequest("unknown member \(JSONText.quoted(name.text.prefix(40)))")
        }
        guard let seconds = members["seconds"].flatMap({ Int($0.text) }), Pause.secondsRange.contains(seconds) else {
            throw .badRequest("\"seconds\" takes a whole number from 1 to \(Pause.secondsRange.upperBound)")
        }
        return seconds
    }

    static func client(_ name: String) throws(HTTPProblem) -> Target {
        do { return try .client(name) } catch {
            throw .badRequest("the client \(JSONText.quoted(name.prefix(80))) \(error)")
        }
    }
}
