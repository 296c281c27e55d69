// SPDX-License-Identifier: Apache-2.0

/// How the text of a setting becomes its value, and what stands for that text in the help.
package struct ValueKind<Value: Sendable>: Sendable {
    /// `description` says what would be right.
    struct Invalid: Error, CustomStringConvertible {
        let description: String
    }

    /// nil for a switch.
    let placeholder: String?
    /// No error may show the text.
    let isSecret: Bool
    /// What it throws says what would be right. The empty text is a default that is no value; nobody else can give it,
    /// because ``SettingsSource`` refuses it first.
    let parse: @Sendable (String) throws -> Value
    /// Of a setting that may be given several times: the values so far, and one more.
    let add: (@Sendable (Value, Value) -> Value)?

    init(
        _ placeholder: String?, isSecret: Bool = false, add: (@Sendable (Value, Value) -> Value)? = nil,
        parse: @escaping @Sendable (String) throws -> Value
    ) {
        self.placeholder = placeholder
        self.isSecret = isSecret
        self.parse = parse
        self.add = add
    }

    /// - Parameter expected: what would be right, where `parse` gives nil.
    init(_ placeholder: String?, _ expected: String, _ parse: @escaping @Sendable (String) -> Value?) {
        self.init(placeholder) { text in
            guard let value = parse(text) else { throw Invalid(description: expected) }
            return value
        }
    }

    /// Any number of values.
    static func list<Element>(_ kind: ValueKind<Element>) -> Self where Value == [Element] {
        Self(
            kind.placeholder, isSecret: kind.isSecret, add: { $0 + $1 },
            parse: { $0.isEmpty ? [] : [try kind.parse($0)] })
    }

    /// A value, or nil for the text `none`.
    static func optional<Wrapped>(_ kind: ValueKind<Wrapped>, none: String = "") -> Self where Value == Wrapped? {
        Self(kind.placeholder, isSecret: kind.isSecret) { $0 == none ? nil : try kind.parse($0) }
    }

    /// One of the names of a type's cases.
    static func choice(_ placeholder: String) -> Self where Value: CaseIterable & RawRepresentable<String> {
        let names = Value.allCases.map(\.rawValue)
        let others = names.dropLast().joined(separator: ", ")
        return Self(placeholder, "takes \(others) or \(names.last ?? "")") { Value(rawValue: $0) }
    }
}
