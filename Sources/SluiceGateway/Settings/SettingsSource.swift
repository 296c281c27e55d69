// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import Yams

/// Where settings come from: flag, then environment, then YAML file, then default; the first that is set wins.
///
/// A key that nobody knows or a value that can't be read stops the start with one line that names it. An empty variable
/// counts as not set, because `${NAME:-}` in a compose file makes one of each that nobody has given. An empty flag or an
/// empty value in the file is refused: somebody wrote it, and it may stand for a check that they want.
package struct SettingsSource {
    package struct Failure: Error, Equatable, CustomStringConvertible {
        package let description: String
    }

    /// YAML's ways to say that a value is empty.
    private static let nulls = ["~", "null", "Null", "NULL"]

    private let arguments: [String]
    private let environment: [String: String]
    private let readFile: (String) throws -> String

    /// - Parameter readFile: the text of the file that `--config` names.
    package init(
        arguments: [String], environment: [String: String], readFile: @escaping (String) throws -> String
    ) {
        self.arguments = arguments
        self.environment = environment
        self.readFile = readFile
    }

    package func load() throws(Failure) -> Settings {
        var settings = Settings()
        var flags = try flags()
        let variables = try variables()
        let config = (flags.removeValue(forKey: "config") ?? variables["config"])?.first
        if let config, SettingsSource.isBlank(config) {
            throw Failure(description: "--config: is empty; leave it out if there is no file")
        }
        let file = try config.map { (path) throws(Failure) in try values(ofFile: path) } ?? [:]
        for setting in SettingTable.all {
            if let values = flags[setting.name] {
                try apply(setting, values, as: "--\(setting.name)", to: &settings)
            } else if let values = variables[setting.name] {
                try apply(setting, values, as: setting.environmentName, to: &settings)
            } else if let values = file[setting.name] {
                try apply(setting, values, as: "\(setting.name) in \(config ?? "")", to: &settings)
            }
        }
        if let problem = settings.problem { throw Failure(description: problem) }
        if settings.nodeID.isEmpty { settings.nodeID = NodeID.made() }
        return settings
    }

    private func apply(
        _ setting: any AnySetting, _ values: [String], as name: String, to settings: inout Settings
    ) throws(Failure) {
        for text in values {
            guard !SettingsSource.isBlank(text) else {
                throw Failure(description: "\(name): is empty; leave it out for the default")
            }
            do {
                try setting.read(text, into: &settings)
            } catch {
                let shown = setting.isSecret ? "" : " \"\(SettingsSource.oneLine(text))\":"
                throw Failure(description: "\(name):\(shown) \(error)")
            }
        }
    }

    private static func oneLine(_ text: String) -> String {
        String(text.prefix(80).map { $0.isNewline ? " " : $0 })
    }

    private static func isBlank(_ text: some StringProtocol) -> Bool {
        text.allSatisfy(\.isWhitespace)
    }

    /// `--name value`, `--name=value`, `--switch`; a setting that takes several values may be there as often.
    private func flags() throws(Failure) -> [String: [String]] {
        var values: [String: [String]] = [:]
        var rest = arguments[...]
        while let word = rest.popFirst() {
            guard word.hasPrefix("--") else {
                throw Failure(
                    description: "\(SettingsSource.oneLine(word)): a setting begins with --; see sluice serve --help")
            }
            let parts = word.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            guard name == "config" || SettingTable.named(name) != nil else {
                throw Failure(
                    description: "--\(SettingsSource.oneLine(name)): unknown setting; see sluice serve --help")
            }
            guard values[name] == nil || SettingTable.named(name)?.isRepeatable == true else {
                throw Failure(description: "--\(name): is given twice")
            }
            if parts.count > 1 {
                values[name, default: []].append(String(parts[1]))
            } else if name != "config", SettingTable.named(name)?.placeholder == nil {
                values[name] = ["true"]
            } else if let value = rest.popFirst() {
                values[name, default: []].append(value)
            } else {
                throw Failure(description: "--\(name): needs a value")
            }
        }
        return values
    }

    /// Several values have commas between them.
    private func variables() throws(Failure) -> [String: [String]] {
        var values: [String: [String]] = [:]
        for (variable, text) in environment where variable.hasPrefix("SLUICE_") {
            let setting = SettingTable.all.first { $0.environmentName == variable }
            guard setting != nil || variable == "SLUICE_CONFIG" else {
                if ForeignVariable.isKnown(variable, value: text) { continue }
                throw Failure(description: "\(SettingsSource.oneLine(variable)): unknown setting in the environment")
            }
            let parts = setting?.isRepeatable == true ? text.split(separator: ",") : [Substring(text)]
            let given = parts.filter { !SettingsSource.isBlank($0) }.map { String($0.drop { $0 == " " }) }
            if !given.isEmpty { values[setting?.name ?? "config"] = given }
        }
        return values
    }

    private func values(ofFile path: String) throws(Failure) -> [String: [String]] {
        do {
            guard let root = try Yams.compose(yaml: try readFile(path)) else { return [:] }
            guard let mapping = root.mapping else {
                throw Failure(
                    description: "--config: \(path) must have one setting a line, as \"listen: 127.0.0.1:8080\"")
            }
            var values: [String: [String]] = [:]
            for (key, value) in mapping {
                let name = key.scalar?.string ?? ""
                guard let setting = SettingTable.named(name) else {
                    throw Failure(description: "\(SettingsSource.oneLine(name)) in \(path): unknown setting")
                }
                let list = setting.isRepeatable ? value.sequence.map(Array.init) : nil
                let texts = (list ?? [value]).map { item in
                    item.scalar.map { $0.style == .plain && SettingsSource.nulls.contains($0.string) ? "" : $0.string }
                }
                guard !texts.contains(nil) else {
                    let hint = setting.isRepeatable ? " or a list of values" : ""
                    throw Failure(description: "\(name) in \(path): takes one value\(hint)")
                }
                // A list of nothing is an empty value, which would switch off what it lists.
                values[name] = texts.isEmpty ? [""] : texts.compactMap { $0 }
            }
            return values
        } catch let failure as Failure {
            throw failure
        } catch let error as FileContent.Unreadable {
            throw Failure(description: "--config: \(path) \(error)")
        } catch {
            throw Failure(description: "--config: \(path) can't be read: \(SettingsSource.oneLine("\(error)"))")
        }
    }
}
