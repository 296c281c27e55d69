// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1
import SluiceGateway
import TestSupport
import Testing

@Suite("Routes")
struct RouterTests {
    private let routes = EmbeddedNode().node.publicRoutes()

    private func route(_ method: HTTPMethod, _ uri: String) throws -> (route: Route, name: String) {
        try routes.route(method, path: RequestTarget(uri).path)
    }

    @Test(
        "of streams have three names, with a slash behind them or without",
        arguments: ["/events", "/events/", "/sse", "/sse/", "/stream", "/stream/", "http://h/stream/?topic=a"])
    func streams(uri: String) throws {
        #expect(try route(.GET, uri).route.paths.first == "/events")
    }

    @Test(
        "have one spelling, because a load balancer in front compares bytes",
        arguments: [
            (.POST, "/%70ublish"), (.GET, "/%65vents?topic=a"), (.GET, "/pus%68"), (.DELETE, "/client%73/ann"),
            (.DELETE, "/clients%2Fann"), (.GET, "/%2e"), (.GET, "/sse%2F"), (.GET, "/Events"), (.POST, "/publish/"),
            (.GET, "/push/"), (.GET, "/events//"), (.GET, "//events"), (.GET, "/./events"), (.DELETE, "/clients"),
            (.DELETE, "/clients/a/b"), (.GET, "/stream\u{301}"), (.GET, "/%"),
        ] as [(HTTPMethod, String)])
    func disguised(_ method: HTTPMethod, _ uri: String) {
        let error = #expect(throws: HTTPProblem.self) { try route(method, uri) }
        #expect(error?.status == .notFound)
    }

    @Test(
        "of clients end in the client's id, which may be encoded",
        arguments: [
            ("/clients/ann", "ann"), ("/clients/a%2Fb%C3%A4", "a/bä"), ("/clients/a%20b", "a b"),
            ("/clients/a+b", "a+b"), ("/clients/%2e%2e", ".."), ("/clients/", ""),
        ])
    func clients(_ uri: String, _ id: String) throws {
        #expect(try route(.DELETE, uri).name == id)
    }

    @Test(
        "of clients are no text where the encoding is broken", arguments: ["/clients/%", "/clients/%FF", "/clients/%4"])
    func broken(uri: String) {
        let error = #expect(throws: HTTPProblem.self) { try route(.DELETE, uri) }
        #expect(error?.status == .badRequest)
    }
}
