// SPDX-License-Identifier: Apache-2.0
import Foundation
import SluiceGateway
import TestSupport
import Testing

/// The article itself: a threat model that nobody checks is soon a story.
@Suite("The threat model")
struct ThreatModelTests {
    private static let article = "\(Repository.root)/Sources/SluiceGateway/SluiceGateway.docc/ThreatModel.md"

    /// The rows of the tables of threats, in cells.
    private static func rows() throws -> [[String]] {
        try String(contentsOfFile: article, encoding: .utf8).split(separator: "\n").compactMap { line in
            guard line.hasPrefix("| "), line.hasSuffix(" |") else { return nil }
            let cells = line.dropFirst(2).dropLast(2).components(separatedBy: " | ")
            return cells.count == 4 && cells[0] != "threat" ? cells : nil
        }
    }

    /// `Suite.function` of every test there is.
    private static func tests() throws -> Set<String> {
        let root = "\(Repository.root)/Tests"
        var tests: Set<String> = []
        for case let path as String in FileManager.default.enumerator(atPath: root) ?? .init()
        where path.hasSuffix(".swift") {
            let source = try String(contentsOfFile: "\(root)/\(path)", encoding: .utf8)
            var suite = ""
            var isTest = false
            for line in source.split(separator: "\n") {
                if let match = line.firstMatch(of: /^ *(?:final )?(?:struct|enum|class|actor) (\w+Tests)\b/) {
                    suite = String(match.1)
                } else if line.contains("@Test") {
                    isTest = true
                } else if isTest, let match = line.firstMatch(of: /\bfunc (\w+)\(/) {
                    tests.insert("\(suite).\(match.1)")
                    isTest = false
                }
            }
        }
        return tests
    }

    @Test("Every threat names the tests that show its control, and they exist")
    func testsExist() throws {
        let rows = try ThreatModelTests.rows()
        let tests = try ThreatModelTests.tests()
        #expect(rows.count > 30)
        for row in rows {
            let named = row[3].matches(of: /`(\w+\.\w+)`/).map { String($0.1) }
            #expect(!named.isEmpty, "\(row[0])")
            #expect(row[3] == named.map { "`\($0)`" }.joined(separator: ", "), "\(row[0])")
            for test in named { #expect(tests.contains(test), "\(row[0]): \(test)") }
        }
    }

    @Test("Every setting that it names exists, and every setting that protects is named")
    func settings() throws {
        let text = try String(contentsOfFile: ThreatModelTests.article, encoding: .utf8)
        let named = Set(text.matches(of: /--([a-z0-9-]*[a-z0-9])/).map { String($0.1) })
        for name in named { #expect(SettingTable.named(name) != nil, "--\(name)") }
        let protecting = SettingTable.all.map(\.name).filter {
            $0.hasPrefix("max-") || $0.hasSuffix("-rate") || $0.hasSuffix("-timeout") || $0.hasPrefix("jwt-")
        }
        let isSaid = protecting.filter { !named.contains($0) }
        #expect(isSaid.isEmpty)
    }
}
