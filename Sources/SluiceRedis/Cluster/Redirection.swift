// SPDX-License-Identifier: Apache-2.0

/// What a server of a cluster says of a command that is not for it: `MOVED 3999 10.0.0.7:6379`, or `ASK …` while a slot moves.
package struct Redirection: Equatable, Sendable {
    /// Only this once, and to be announced by `ASKING`; else the slot is there for good.
    package let isAsking: Bool
    package let address: RedisAddress

    /// - Parameters:
    ///   - message: nil comes of one that sends the command nowhere.
    ///   - asked: who says so. An empty host means its own.
    package init?(_ message: String, asked: RedisAddress) {
        let words = message.split(separator: " ")
        guard words.count >= 3, words[0] == "MOVED" || words[0] == "ASK" else { return nil }
        // An IPv6 address stands there without brackets.
        guard let colon = words[2].lastIndex(of: ":"), let port = Int(words[2][words[2].index(after: colon)...]),
            (1...65535).contains(port)
        else { return nil }
        let host = String(words[2][..<colon])
        isAsking = words[0] == "ASK"
        address = RedisAddress(host: ["", "?"].contains(host) ? asked.host : host, port: port)
    }
}
