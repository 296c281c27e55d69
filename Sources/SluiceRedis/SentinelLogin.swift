// SPDX-License-Identifier: Apache-2.0

/// How to log in to Sentinels, which have users of their own. Without a password no login is sent.
package struct SentinelLogin: Sendable {
    package var user = ""
    package var password: String?

    package init(user: String? = nil, password: String? = nil) {
        self.user = user ?? ""
        self.password = password
    }
}
