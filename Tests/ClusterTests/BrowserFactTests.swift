// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// What the gateway relies on in browsers, each asked by Browser/facts.py with a scripted server. Not one of the tests of
/// a cluster: most of its time is a browser that waits.
@Suite("Browsers are as we think", .serialized)
struct BrowserFactTests {
    @Test(
        "Ids, waits, losses, statuses, CORS and events: all that the gateway relies on holds in each engine",
        .enabled(if: BrowserScript.isPossible, BrowserScript.missing), .timeLimit(.minutes(3)),
        arguments: BrowserScript.Engine.allCases)
    func facts(engine: BrowserScript.Engine) async throws {
        let browser = try BrowserScript.start("facts", engine)
        #expect(await browser.exitCode(within: 120) == 0, "\(browser.output)")
        print(browser.output, terminator: "")
    }

    @Test(
        "The paper on browsers has a row for every fact that is tried, and no other",
        .enabled(if: BrowserScript.isPossible, BrowserScript.missing))
    func paper() async throws {
        let list = try BrowserScript.start("facts", ["list"])
        #expect(await list.exitCode(within: 20) == 0, "\(list.output)")
        let paper = try String(
            contentsOfFile: "\(Repository.root)/Sources/SluiceGateway/SluiceGateway.docc/Browsers.md", encoding: .utf8)
        let rows = paper.split(separator: "\n").compactMap { $0.firstMatch(of: /^\| `([a-z0-9-]+)` \|/)?.1 }
        #expect(rows.sorted() == list.output.split(separator: "\n").sorted())
    }
}
