// SPDX-License-Identifier: Apache-2.0
import Foundation
import NIOCore
import SluiceGateway
import TestSupport
import Testing

@Suite("Pages")
struct PageTests {
    private static let pages = [Page.trial, Page.dashboard]

    @Test("fit into 60 KB and name nothing that a browser would fetch elsewhere", arguments: pages)
    func size(page: Page) {
        let text = String(buffer: page.answer.body)
        #expect(text.utf8.count <= 60 * 1024)
        let addresses = text.matches(of: /https?:\/\/[a-zA-Z]+\.[^'"` <]+/).map { String($0.output) }
        // A namespace is a name.
        #expect(Set(addresses).isSubset(of: ["http://www.w3.org/2000/svg"]), "\(addresses)")
        #expect(!text.contains(" src=") && !text.contains("@import") && !text.contains("url("))
    }

    @Test("have pictures in the articles, which are there and small")
    func pictures() throws {
        let articles = "\(Repository.root)/Sources/SluiceGateway/SluiceGateway.docc"
        var count = 0
        for name in try FileManager.default.contentsOfDirectory(atPath: articles) where name.hasSuffix(".md") {
            let text = try String(contentsOfFile: "\(articles)/\(name)", encoding: .utf8)
            for picture in text.matches(of: /!\[([^\]]+)\]\(([^)]+)\)/) {
                let data = FileManager.default.contents(atPath: "\(articles)/\(picture.2)")
                #expect((1...150_000).contains(data?.count ?? 0), "\(name): \(picture.2)")
                #expect(picture.1.hasSuffix("."), "\(name): a sentence for those who don't see it")
                count += 1
            }
        }
        #expect(count > 0)
    }
}

extension NodeTests {
    @Suite("shows pages")
    struct PageTests {
        @Test("The dashboard is on the operator's listener and on no other", .timeLimit(.minutes(1)))
        func dashboard() async throws {
            // Load balancers and operators call that listener by its address, whatever --host says.
            let test = try await TestNode.start(.memory, ["--host", "events.example.com"])
            let page = try await request(test.node.adminPort, "GET", "/dashboard")
            #expect(page.status == 200 && page["Content-Type"] == "text/html; charset=utf-8")
            #expect(page.text.contains("<title>Sluice dashboard</title>"))
            #expect(page["Content-Security-Policy"]?.contains("script-src 'sha256-") == true)
            #expect(page["X-Frame-Options"] == "DENY" && page["Cache-Control"] == "no-cache")
            let head = try await request(test.node.adminPort, "HEAD", "/dashboard")
            #expect(head.status == 200 && head.text.isEmpty && head["Content-Length"] == page["Content-Length"])
            for method in ["POST", "PUT", "DELETE"] {
                let refusal = try await request(test.node.adminPort, method, "/dashboard")
                #expect(refusal.status == 405 && refusal["Allow"] == "GET, HEAD, OPTIONS", "\(method)")
            }
            let outside = try await TestNode.start(.memory)
            #expect(try await request(outside.port, "GET", "/dashboard").status == 404)
        }

        @Test("Where the dashboard is only a browser on the node's own machine is told", .timeLimit(.minutes(1)))
        func link() async throws {
            let test = try await TestNode.start(.memory, ["--trusted-proxy", "127.0.0.1"])
            let link = "dashboard;desc=\"127.0.0.1:\(test.node.adminPort)\""
            let here = try await request(test.port, "GET", "/")
            #expect(here.all("Server-Timing").contains(link))
            let stranger = try await request(test.port, "GET", "/", headers: ["X-Forwarded-For": "203.0.113.9"])
            #expect(stranger.status == 200 && stranger.all("Server-Timing").count == 1)
            #expect(stranger.text == here.text)
            let alone = try await TestNode.start(.memory, ["--admin-listen", "off"])
            #expect(try await request(alone.port, "GET", "/").all("Server-Timing").count == 1)
        }
    }
}
