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
        discussion: Help.text(PackageResources.token_txt))

    @Option(help: .of("FILE", "Sign with this key: a secret, or a private key in PEM.")) var key: String?
    @Option(parsing: .unconditional, help: .of("KID", "The key's name, where the node knows several.")) var kid: String?
    @Option(
        help: .of(
            "ALG",
            "HS256, HS384, HS512, RS256 to PS512, ES256 to ES512 or EdDSA. (default: the first that fits the key)"))
    var alg: String?
    @Option(parsing: .unconditional, help: .of("C", "The client that the bearer is (sub).")) var client: String?
    @Option(
        parsing: .unconditionalSingleValue,
        help: .of("PATTERN", "May subscribe to these; may be given several times."))
    var subscribe: [String] = []
    @Option(
        parsing: .unconditionalSingleValue, help: .of("PATTERN", "May publish to these; may be given several times."))
    var publish: [String] = []
    @Flag(help: "May do everything, also to other people's streams.") var admin = false
    @Option(help: .of("D", "How long it is valid, as 90s, 10m or 24h.")) var expires = DurationArgument(seconds: 3600)
    @Option(parsing: .unconditional, help: .of("NAME", "Who made it (iss); a node may ask for it by --jwt-issuer."))
    var issuer: String?
    @Option(
        parsing: .unconditionalSingleValue, help: .of("NAME", "Whom it is for (aud); a node may ask by --jwt-audience.")
    )
    var audience: [String] = []
    @Option(help: .of("FILE", "Write a new random secret to this file, which must not exist yet.")) var newKey: String?

    func validate() throws {
        try refuse((key == nil) == (newKey == nil), "give --key, or --new-key to make one")
        let isShaped = kid != nil || alg != nil || client != nil || !subscribe.isEmpty || !publish.isEmpty || admin
        try refuse(newKey != nil && isShaped, "--new-key makes no token; make one with --key afterwards")
        try refuse("the client") { _ = try client.map { try Target.client($0) } }
        for pattern in subscribe { try refuse("--subscribe \(pattern)") { _ = try TargetPattern(pattern) } }
        for pattern in publish { try refuse("--publish \(pattern)") { _ = try TargetPattern(pattern) } }
        try refuse(expires.amount <= .zero, "--expires takes a time, as 10m")
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
        let members = [
            ("iss", issuer.map { JSONText.quoted($0) }), ("sub", client.map { JSONText.quoted($0) }),
            ("aud", audience.isEmpty ? nil : list(audience)), ("iat", String(now)),
            // Rounded up, so that 500ms is no token that never was valid.
            ("exp", String(now + (expires.amount.nanoseconds + 999_999_999) / 1_000_000_000)),
            ("sluice", "{\"subscribe\":\(list(subscribe)),\"publish\":\(list(publish)),\"admin\":\(admin)}"),
        ]
        return "{" + members.compactMap { name, value in value.map { "\"\(name)\":\($0)" } }.joined(separator: ",")
            + "}"
    }
}
