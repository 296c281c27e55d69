// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What the commands take from the environment: a secret does not belong where `ps` shows it.
enum Environment {
    static var all: [String: String] {
        var result: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { result[String(parts[0])] = String(parts[1]) }
            entry += 1
        }
        return result
    }

    static var redis: String? { value("SLUICE_REDIS") }
    static var token: String? { value("SLUICE_TOKEN") }
    static var sentinelPassword: String? { value("SLUICE_SENTINEL_PASSWORD") }

    /// An empty variable is as none.
    private static func value(_ name: String) -> String? { all[name].flatMap { $0.isEmpty ? nil : $0 } }
}
