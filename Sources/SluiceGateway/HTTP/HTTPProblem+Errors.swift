// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1

/// What a client is told of the errors of other parts, which know nothing of HTTP: the one place that gives them a status.
extension HTTPProblem {
    package static let hostRefused = HTTPProblem(
        status: .forbidden, code: "host_not_allowed",
        message: "this host is not served here; --host names those that are")

    package static let originRefused = HTTPProblem(
        status: .forbidden, code: "origin_not_allowed",
        message: "pages of this origin may not use this gateway; --origin names those that may")

    package init(of error: any Error) {
        switch error {
        case let problem as HTTPProblem: self = problem
        case let refusal as Authority.Refusal: self = HTTPProblem(of: refusal)
        case let refusal as Credentials.Refusal: self = HTTPProblem(of: refusal)
        case let refusal as TokenRefusal:
            self = refusal.isPassing ? .unavailable(refusal.message) : .unauthorized(refusal.message)
        case let failure as PublishFailure: self = HTTPProblem(of: failure)
        default: self = .unavailable("this can't be done now")
        }
    }

    private init(of refusal: Authority.Refusal) {
        self =
            switch refusal {
            case .hostRepeated(let count): .badRequest("the header Host is there \(count) times")
            case .hostMissing: .badRequest("the header Host is missing")
            case .hostMalformed: .badRequest("the header Host is not a host and a port")
            case .targetMalformed: .badRequest("the request's target names no host")
            case .contradiction: .badRequest("the request's target and the header Host name different hosts")
            }
    }

    private init(of refusal: Credentials.Refusal) {
        self =
            switch refusal {
            case .headerRepeated(let count): .badRequest("Authorization is there \(count) times")
            case .cookiesTooLarge:
                HTTPProblem(
                    status: .requestHeaderFieldsTooLarge, code: "headers_too_large",
                    message: "the request's cookies have more than \(Credentials.cookieBytesMax) bytes; "
                        + "a token may also be in a header")
            }
    }

    private init(of failure: PublishFailure) {
        self =
            switch failure {
            case .refused(let message): .badRequest(message)
            case .conflict(let message): HTTPProblem(status: .conflict, code: "conflict", message: message)
            // No Retry-After: a second try might do it twice.
            case .unknown:
                HTTPProblem(
                    status: .serviceUnavailable, code: "unknown",
                    message: "the connection to Redis was lost meanwhile; it may have been done all the same")
            // In words of ours: Redis' own name its users and keys. They are in the log.
            case .unavailable: .unavailable("Redis is away, or can't do this now")
            }
    }
}
