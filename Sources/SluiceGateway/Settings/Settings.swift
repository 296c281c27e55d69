// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// Everything that can be set, checked: `settings.heartbeat` is what was given for the setting of this name in
/// ``SettingTable``, or else its default. Where each comes from is in ``SettingsSource``.
@dynamicMemberLookup
package struct Settings: Sendable {
    /// An office whose pages all come back at once is far below it; TLS with RSA keys costs half a core then.
    package static let standardConnectionRate = 500
    package static let standardLogEventsMax = 100_000
    package static let standardLogTTLMax = TimeAmount.hours(24)

    private struct Given<Value: Sendable>: Sendable {
        let value: Value
    }

    /// By the declaration of the setting; each is a ``Given`` of the setting's type.
    private var given: [ObjectIdentifier: any Sendable] = [:]

    package init() {}

    /// The value of the setting that is declared there.
    subscript<Value: Sendable>(declaration: ObjectIdentifier, default standard: Value) -> Value {
        get { (given[declaration] as? Given<Value>)?.value ?? standard }
        set { given[declaration] = Given(value: newValue) }
    }
}
