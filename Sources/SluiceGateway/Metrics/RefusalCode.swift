// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1

/// The HTTP status of an error answer: a label of a metric, so a list that is known.
package enum RefusalCode: String, CaseIterable, Sendable {
    case badRequest = "400"
    case unauthorized = "401"
    case forbidden = "403"
    case notFound = "404"
    case methodNotAllowed = "405"
    case conflict = "409"
    case payloadTooLarge = "413"
    case uriTooLong = "414"
    case unsupportedMediaType = "415"
    case tooManyRequests = "429"
    case headersTooLarge = "431"
    case notImplemented = "501"
    case unavailable = "503"
    case versionNotSupported = "505"
    case other

    init(_ status: HTTPResponseStatus) {
        self = RefusalCode(rawValue: String(status.code)) ?? .other
    }
}
