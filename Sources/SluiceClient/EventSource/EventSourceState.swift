// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1

/// What an `EventSource` remembers between connections, and what it does when one opens or ends (WHATWG HTML,
/// "Server-sent events", the processing model). No I/O and no clock: each input says what to do.
struct EventSourceState {
    enum Response: Equatable {
        /// It is an event stream: read on.
        case read
        /// 204: the server wants no more of us.
        case stop
        /// Any other answer ends it for good; what the body says is worth showing.
        case fail
    }

    /// Until a stream says `retry:`, as in Chromium.
    private static let retryDefault = TimeAmount.seconds(3)
    /// `retry: 0` must not become a busy loop.
    private static let retryMin = TimeAmount.milliseconds(100)
    private static let retryMax = TimeAmount.hours(24)

    /// Sent as `Last-Event-ID` unless it is empty.
    private(set) var lastEventID: String
    private(set) var retry = EventSourceState.retryDefault
    /// A connection over which nothing comes for so long is given up; zero: never.
    private let silence: TimeAmount
    private var heard = NIODeadline.distantPast
    /// The first failure of an outage is worth a line, the hundredth is not.
    private var isInOutage = false

    init(lastEventID: String, silence: TimeAmount = .zero) {
        self.lastEventID = lastEventID
        self.silence = silence
    }

    /// A connection is begun, or something came over it: an event, a comment, a part of the head.
    mutating func heard(now: NIODeadline) {
        heard = now
    }

    /// When the connection is to be given up if nothing comes before; nil: never.
    var silentAt: NIODeadline? { silence > .zero ? heard + silence : nil }

    mutating func received(retryMilliseconds: Int64) {
        let wanted = TimeAmount.milliseconds(min(retryMilliseconds, 86_400_000))
        retry = min(max(wanted, EventSourceState.retryMin), EventSourceState.retryMax)
    }

    mutating func reached(_ lastEventID: String) {
        self.lastEventID = lastEventID
    }

    /// A response came.
    ///
    /// - Parameter contentType: the field's value.
    func response(_ status: HTTPResponseStatus, contentType: String?) -> Response {
        switch status {
        case .ok:
            let essence = (contentType ?? "").prefix { $0 != ";" }.filter { !$0.isWhitespace }.lowercased()
            return essence == "text/event-stream" ? .read : .fail
        case .noContent: return .stop
        default: return .fail
        }
    }

    /// A stream began. Tells whether that ends an outage that was spoken of.
    mutating func opened() -> Bool {
        defer { isInOutage = false }
        return isInOutage
    }

    /// There is no connection, or it was lost: how long to wait, and whether to speak of it.
    mutating func disconnected(isFailure: Bool) -> (wait: TimeAmount, isNews: Bool) {
        let isNews = isFailure && !isInOutage
        if isFailure { isInOutage = true }
        return (retry, isNews)
    }
}
