// SPDX-License-Identifier: Apache-2.0

/// A setting, whatever its values are.
package protocol AnySetting: AnyObject, Sendable {
    /// The flag without its hyphens, and the key in the file.
    var name: String { get }
    /// What stands for the value in the help; nil for a switch.
    var placeholder: String? { get }
    /// The default, as somebody would write it; empty: none.
    var standard: String { get }
    var meaning: String { get }
    /// May be given several times.
    var isRepeatable: Bool { get }
    /// No error may show its text.
    var isSecret: Bool { get }

    /// Sets it or, where there may be several values, adds one.
    ///
    /// - Throws: an error whose description says what would be right.
    func read(_ text: String, into settings: inout Settings) throws
    /// What was given, or else the default.
    func shown(in settings: Settings) -> String
}

extension AnySetting {
    /// `SLUICE_` and the flag in capitals.
    package var environmentName: String {
        "SLUICE_" + name.uppercased().split(separator: "-").joined(separator: "_")
    }

    /// As it is given to the command.
    package var flag: String { "--\(name)\(placeholder.map { " \($0)" } ?? "")" }
}
