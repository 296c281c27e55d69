// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1

/// How large a request may be, and how long it and its answer may take.
package struct RequestLimits: Sendable {
    private let targetBytesMax: Int
    private let headerBytesMax: Int
    private let headerCountMax: Int
    let bodyBytesMax: Int
    let bodyTimeout: TimeAmount
    /// How long a client may take to take its answer.
    let answerTimeout: TimeAmount

    package init(_ settings: Settings) {
        targetBytesMax = settings.targetBytesMax
        headerBytesMax = settings.headerBytesMax
        headerCountMax = settings.headerCountMax
        bodyBytesMax = settings.bodyBytesMax
        bodyTimeout = settings.bodyTimeout
        answerTimeout = settings.stall
    }

    /// Why a request is not read beyond its head; nil: it is small enough, and its end can't be mistaken.
    func problem(of head: HTTPRequestHead, isHTTP2: Bool) -> HTTPProblem? {
        if head.uri.utf8.count > targetBytesMax { return .targetTooLong(targetBytesMax) }
        // NIO's decoders see to it where they can: HTTP/2's limits the sum of their bytes, HTTP/1's takes the target for one.
        if head.headers.count > headerCountMax
            || head.headers.contains(where: { $0.name.utf8.count + $0.value.utf8.count > headerBytesMax })
        {
            return .headersTooLarge
        }
        if !isHTTP2, let problem = MessageFraming.problem(head) { return problem }
        // NIO has checked that these are digits: what overflows `Int` is too large.
        if let length = head.headers[canonicalForm: "content-length"].first,
            Int(length).map({ $0 > bodyBytesMax }) ?? true
        {
            return .bodyTooLarge(bodyBytesMax)
        }
        return nil
    }
}
