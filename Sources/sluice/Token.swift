// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc
import NIOCore
import SluiceCore
import SluiceGateway

/// `sluice token`: makes tokens for trying things out; in production whoever knows the users makes them.
struct Token: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a token for a node in --auth jwt, or a secret to sign tokens with.",
        usage: """
            sluice token --new-key FILE
            sluice token --key FILE [OPTION]...
            """,
        discussion: Help.token)

    @Option(help: ArgumentHelp("Sign with this key: a secret, or a private key in PEM.", valueName: "FILE"))
    var key: String?
    @Option(
        parsing: .unconditional, help: ArgumentHelp("The key's name, where the node knows several.", valueName: "KID"))
    var kid: String?
    @Option(
        help: ArgumentHelp(
            "HS256, HS384, HS512, RS256 to PS512, ES256 to ES512 or EdDSA. (default: the first that fits the key)",
            valueName: "ALG"))
    var alg: String?
    @Option(parsing: .unconditional, help: ArgumentHelp("The client that the bearer is (sub).", valueName: "C"))
    var client: String?
    @Option(
        name: .long, parsing: .unconditionalSingleValue,
        help: ArgumentHelp("May subscribe to these; may be given several times.", valueName: "PATTERN"))
    var subscribe: [String] = []
    @Option(
        name: .long, parsing: .unconditionalSingleValue,
        help: ArgumentHelp("May publish to these; may be given several times.", valueName: "PATTERN"))
    var publish: [String] = []
    @Flag(help: "May do everything, also to other people's streams.")
    var admin = false
    @Option(help: ArgumentHelp("How long it is valid, as 90s, 10m or 24h.", valueName: "D"))
    var expires = DurationArgument(seconds: 3600)
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Who made it (iss); a node may ask for it by --jwt-issuer.", valueName: "NAME"))
    var issuer: String?
    @Option(
        name: .long, parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Whom it is for (aud); a node may ask by --jwt-audience.", valueName: "NAME"))
    var audience: [String] = []
    @Option(
        name: .customLong("new-key"),
        help: ArgumentHelp("Write a new random secret to this file, which must not exist yet.", valueName: "FILE"))
    var newKey: String?

    func validate() throws {
        guard (key == nil) != (newKey == nil) else { throw ValidationError("give --key, or --new-key to make one") }
        if newKey != nil, kid != nil || alg != nil || client != nil || !subscribe.isEmpty || !publish.isEmpty || admin {
            throw ValidationError("--new-key makes no token; make one with --key afterwards")
        }
        if let client {
            do { _ = try Target.client(client) } catch { throw ValidationError("the client \(error)") }
        }
        for (option, patterns) in [("subscribe", subscribe), ("publish", publish)] {
            for pattern in patterns {
                do { _ = try TargetPattern(pattern) } catch { throw ValidationError("--\(option) \(pattern) \(error)") }
            }
        }
        guard expires.amount > .zero else { throw ValidationError("--expires takes a time, as 10m") }
    }

    func run() async throws {
        if let newKey { return try SecretFile.make(newKey) }
        guard let key else { return }
        let token: String
        do {
            token = try await TokenKey(name: kid, content: FileContent.bytes(ofFile: key))
                .token(claims: claims(now: Int64(time(nil))), algorithm: alg)
        } catch { throw Failure("\(key) \(error)") }
        try StandardStream.output.write(token + "\n")
    }

    /// - Parameter now: seconds since 1970.
    func claims(now: Int64) -> String {
        func list(_ texts: [String]) -> String { "[" + texts.map { JSONText.quoted($0) }.joined(separator: ",") + "]" }
        var members: [(name: String, value: String)] = []
        if let issuer { members.append(("iss", JSONText.quoted(issuer))) }
        if let client { members.append(("sub", JSONText.quoted(client))) }
        if !audience.isEmpty { members.append(("aud", list(audience))) }
        members.append(("iat", String(now)))
        // Rounded up, so that 500ms is no token that never was valid.
        members.append(("exp", String(now + (expires.amount.nanoseconds + 999_999_999) / 1_000_000_000)))
        members.append(
            ("sluice", "{\"subscribe\":\(list(subscribe)),\"publish\":\(list(publish)),\"admin\":\(admin)}"))
        return "{" + members.map { "\"\($0.name)\":\($0.value)" }.joined(separator: ",") + "}"
    }
}
