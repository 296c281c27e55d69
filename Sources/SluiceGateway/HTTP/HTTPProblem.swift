// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1
import SluiceCore

/// An error answer: a status, a code for programs and a sentence for people.
package struct HTTPProblem: Error, Equatable {
    package let status: HTTPResponseStatus
    package let code: String
    package let message: String
    package let headers: [(String, String)]

    package init(
        status: HTTPResponseStatus, code: String, message: String, headers: [(String, String)] = []
    ) {
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers
    }

    package static func == (left: HTTPProblem, right: HTTPProblem) -> Bool {
        left.status == right.status && left.code == right.code && left.message == right.message
    }

    package static func badRequest(_ message: String) -> HTTPProblem {
        HTTPProblem(status: .badRequest, code: "bad_request", message: message)
    }

    package static let notFound = HTTPProblem(status: .notFound, code: "not_found", message: "there is nothing here")

    package static func methodNotAllowed(_ allowed: String) -> HTTPProblem {
        HTTPProblem(
            status: .methodNotAllowed, code: "method_not_allowed", message: "this takes \(allowed)",
            headers: [("Allow", allowed)])
    }

    package static func bodyTooLarge(_ bytesMax: Int) -> HTTPProblem {
        HTTPProblem(
            status: .payloadTooLarge, code: "payload_too_large", message: "at most \(bytesMax) bytes are allowed")
    }

    package static func unsupportedMediaType(_ wanted: String) -> HTTPProblem {
        HTTPProblem(
            status: .unsupportedMediaType, code: "unsupported_media_type", message: "send \(wanted)")
    }

    package static func targetTooLong(_ bytesMax: Int) -> HTTPProblem {
        HTTPProblem(
            status: .uriTooLong, code: "uri_too_long", message: "the request's target may have \(bytesMax) bytes")
    }

    package static let headersTooLarge = HTTPProblem(
        status: .requestHeaderFieldsTooLarge, code: "headers_too_large",
        message: "the request's header is larger than this gateway takes")

    package static func unauthorized(_ message: String) -> HTTPProblem {
        HTTPProblem(
            status: .unauthorized, code: "unauthorized", message: message, headers: [("WWW-Authenticate", "Bearer")])
    }

    package static let tokenNeeded = unauthorized(
        "a token is needed: as Authorization: Bearer, as access_token= in the query, or as a cookie")

    /// For what is no stream: a token in a URL ends up in logs, and a browser sends a cookie for any page.
    package static let headerTokenNeeded = unauthorized(
        "a token is needed as Authorization: Bearer; here one in the URL does not count, and one in a cookie only with POST"
    )

    package static func forbidden(_ message: String) -> HTTPProblem {
        HTTPProblem(status: .forbidden, code: "forbidden", message: message)
    }

    package static func tooManyRequests(_ message: String, seconds: Int) -> HTTPProblem {
        HTTPProblem(
            status: .tooManyRequests, code: "too_many_requests", message: message,
            headers: [("Retry-After", String(seconds))])
    }

    package static func unavailable(_ reason: String) -> HTTPProblem {
        HTTPProblem(
            status: .serviceUnavailable, code: "unavailable", message: reason, headers: [("Retry-After", "1")])
    }

    /// The body: `{"error":"<code>","message":"…"}`.
    package var body: String { "{\(members)}" }

    package var members: String { "\"error\":\"\(code)\",\"message\":\(JSONText.quoted(message))" }

    /// When to come back, in seconds.
    package var retryAfter: String? { headers.first { $0.0 == "Retry-After" }?.1 }

    /// The same with a time to come back.
    package var repeatable: HTTPProblem {
        HTTPProblem(status: status, code: code, message: message, headers: headers + [("Retry-After", "1")])
    }
}
