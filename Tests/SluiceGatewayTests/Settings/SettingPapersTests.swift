// SPDX-License-Identifier: Apache-2.0
import Foundation
import SluiceGateway
import TestSupport
import Testing

/// What is written about settings beside the program. What a failure shows is what has to be there.
@Suite("Papers of settings")
struct SettingPapersTests {
    @Test("The article's table of settings is the program's")
    func article() throws {
        let path = "\(Repository.root)/Sources/SluiceGateway/SluiceGateway.docc/Operations.md"
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map(String.init)
        let rows = SettingTable.all.map { setting in
            let standard = setting.placeholder == nil ? setting.standard : "`\(setting.standard)`"
            let flag = setting.flag.replacing("|", with: "\\|")
            return "| `\(flag)` | \(setting.standard.isEmpty ? "–" : standard) | \(setting.meaning) |"
        }
        #expect(tableChanges(lines.filter { $0.hasPrefix("| `--") }, toBe: rows).isEmpty)
    }

    /// A line of `deploy/config.yaml` that gives a setting, or would without its `# `.
    private struct Line {
        let name: String
        let value: String
        let isGiven: Bool
    }

    private static let file = "\(Repository.root)/deploy/config.yaml"
    /// What comes before it is for the operator to change.
    private static let divider = "# From here on all values are the defaults."

    private static func lines(_ text: Substring) -> [Line] {
        text.split(separator: "\n").compactMap { line in
            line.wholeMatch(of: /(# )?([a-z][a-z0-9-]*): (.*?)( +#.*)?/).map {
                Line(name: String($0.2), value: String($0.3), isGiven: $0.1 == nil)
            }
        }
    }

    /// How a setting may stand in the file.
    private static func line(of setting: any AnySetting) -> String {
        let value = setting.standard.isEmpty ? "\(setting.placeholder ?? "")" : setting.standard
        return "\(setting.standard.isEmpty ? "# " : "")\(setting.name): \(value)   # \(setting.meaning)"
    }

    @Test("deploy/config.yaml has a line for every setting, and what is not for the operator to change is the default")
    func configFile() throws {
        let parts = try String(contentsOfFile: SettingPapersTests.file, encoding: .utf8).split(
            separator: SettingPapersTests.divider)
        try #require(parts.count == 2, "it needs one line: \(SettingPapersTests.divider)")
        let lines = parts.map(SettingPapersTests.lines)
        let names = (lines[0] + lines[1]).map(\.name)
        for setting in SettingTable.all {
            let count = names.count { $0 == setting.name }
            #expect(count == 1, "one line: \(SettingPapersTests.line(of: setting))")
        }
        for line in lines[0] + lines[1] {
            let setting = try #require(SettingTable.named(line.name), "there is no setting \(line.name)")
            var settings = Settings()
            for text in line.value.filter({ !"[]\"".contains($0) }).split(separator: ", ") {
                #expect(throws: Never.self, "\(line)") { try setting.read(String(text), into: &settings) }
            }
        }
        for line in lines[1] {
            guard let setting = SettingTable.named(line.name) else { continue }
            let isStandard = line.isGiven ? line.value == setting.standard : setting.standard.isEmpty
            #expect(isStandard, "\(SettingPapersTests.line(of: setting))")
        }
    }
}
