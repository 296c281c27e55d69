// SPDX-License-Identifier: Apache-2.0

/// The declaration of one setting, in ``SettingTable``: its name, how its text is read, its default and its meaning.
package final class Setting<Value: Sendable>: AnySetting {
    package let name: String
    package let standard: String
    package let meaning: String
    private let standardValue: Value
    private let kind: ValueKind<Value>

    /// - Parameter standard: the default, as somebody would write it; empty: none.
    init(_ name: String, _ kind: ValueKind<Value>, _ standard: String, _ meaning: String) {
        self.name = name
        self.kind = kind
        self.standard = standard
        self.meaning = meaning
        do {
            standardValue = try kind.parse(standard)
        } catch {
            preconditionFailure("the default of --\(name) is none of its values: \(error)")
        }
    }

    package var placeholder: String? { kind.placeholder }
    package var isRepeatable: Bool { kind.add != nil }
    package var isSecret: Bool { kind.isSecret }

    func value(in settings: Settings) -> Value {
        settings[ObjectIdentifier(self), default: standardValue]
    }

    func set(_ value: Value, in settings: inout Settings) {
        settings[ObjectIdentifier(self), default: standardValue] = value
    }

    package func read(_ text: String, into settings: inout Settings) throws {
        let value = try kind.parse(text)
        set(kind.add?(self.value(in: settings), value) ?? value, in: &settings)
    }

    package func shown(in settings: Settings) -> String { "\(value(in: settings))" }
}
