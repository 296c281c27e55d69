// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

extension ClusterTests {
    /// What deploy/ has for engines and clusters of which there are none here.
    @Suite("is deployed in containers")
    struct ContainerTests {
        @Test(
            "Kubernetes' schemas take each overlay, all that it names is there, and its pods have no rights to spare",
            .enabled(if: BrowserScript.isPossible, BrowserScript.missing), .timeLimit(.minutes(1)))
        func manifests() async throws {
            let python = try #require(ProcessInfo.processInfo.environment["SLUICE_TEST_PYTHON"])
            let script = try ChildProcess(python, ["\(Repository.root)/scripts/manifests"])
            #expect(await script.exitCode(within: 50) == 0, "\(script.output)")
        }

        @Test(
            "The program starts with nothing but what the image has, and its health check, names and certificates work",
            .timeLimit(.minutes(1)))
        func image() async throws {
            let script = try ChildProcess("\(Repository.root)/scripts/image", ["--binary", Repository.binary])
            #expect(await script.exitCode(within: 50) == 0, "\(script.output)")
        }
    }
}
