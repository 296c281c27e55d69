// SPDX-License-Identifier: Apache-2.0
import Crypto
import FoundationEssentials
import NIOCore

/// A page that the node serves: one file, which loads nothing else.
package struct Page: Sendable {
    /// To try the gateway with.
    package static let trial = Page(PackageResources.page_html)
    /// For whoever runs the nodes. It draws what `/metrics` and `/nodes` say.
    package static let dashboard = Page(PackageResources.dashboard_html)

    package let answer: Answer

    private init(_ bytes: [UInt8]) {
        var answer = Answer(contentType: "text/html; charset=utf-8")
        answer.body = ByteBuffer(bytes: bytes)
        answer.headers = [
            ("Cache-Control", "no-cache"), ("X-Frame-Options", "DENY"),
            ("Content-Security-Policy", Page.policy(String(decoding: bytes, as: UTF8.self))),
        ]
        self.answer = answer
    }

    /// Nothing is loaded, run or sent anywhere but what the page itself has (CSP level 3): its one script and its one
    /// style sheet are named by their hashes, so that what somebody manages to put into the page does nothing.
    private static func policy(_ page: String) -> String {
        let script = hash(of: "script", in: page)
        let style = hash(of: "style", in: page)
        return "default-src 'none'; script-src \(script); style-src \(style); connect-src 'self'; img-src data:; "
            + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    }

    private static func hash(of element: String, in page: String) -> String {
        guard let start = page.firstRange(of: "<\(element)>")?.upperBound,
            let end = page[start...].firstRange(of: "</\(element)>")?.lowerBound
        else { return "'none'" }
        return "'sha256-\(Data(SHA256.hash(data: Array(page[start..<end].utf8))).base64EncodedString())'"
    }
}
