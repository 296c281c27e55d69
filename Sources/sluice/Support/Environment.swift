// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What the commands take from the environment: a token does not belong where `ps` shows it.
enum Environment {
    static var token: String? {
        getenv("SLUICE_TOKEN").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }
}
