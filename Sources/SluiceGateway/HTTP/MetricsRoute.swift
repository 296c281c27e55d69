// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import NIOPosix

/// `GET /metrics`: the page in the format that is asked for.
struct MetricsRoute: Sendable {
    let page: MetricsPage

    @Sendable func show(_ request: AuthorizedRequest) -> AuthorizedRequest.Outcome {
        let format = MetricsFormat(accept: request.head.message.headers["Accept"])
        // Not on the loop, where events would wait for it.
        let text = NIOThreadPool.singleton.runIfActive(eventLoop: request.eventLoop) { page.text(format) }
        return .later(text.map { Answer(contentType: format.contentType, body: $0) })
    }
}
