// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// The page to try the gateway with.
package enum Page {
    package static let answer: Answer = {
        var answer = Answer(contentType: "text/html; charset=utf-8")
        answer.body = ByteBuffer(bytes: PackageResources.page_html)
        answer.headers = [("Cache-Control", "no-cache"), ("X-Frame-Options", "DENY")]
        return answer
    }()
}
