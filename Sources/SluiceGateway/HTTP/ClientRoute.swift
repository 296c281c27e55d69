// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// `DELETE /clients/<id>`: ends the client's streams on every node; `?reconnect=false` keeps it away for a time.
struct ClientRoute: Sendable {
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
            hub.eventLoop.flatSubmit { hub.value.order(order) }.map { nodes in
                Answer(json: "{\"client\":\(JSONText.quoted(id)),\"nodes\":\(nodes)}")
            })
    }

    static func client(_ name: String) throws(HTTPProblem) -> Target {
        do { return try .client(name) } catch {
            throw .badRequest("the client \(JSONText.quoted(name.prefix(80))) \(error)")
        }
    }
}
