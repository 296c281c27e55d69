// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import NIOCore
import NIOSSL
import SluiceCore

/// `http://host[:port][/path][?query]`, or `https://`.
struct HTTPURL: Sendable, ExpressibleByArgument, CustomStringConvertible {
    var usesTLS = false
    var host: String
    var port: Int
    /// Path and query, as they go into the request: at least `/`.
    var target: String

    init?(argument text: String) {
        var rest = text[...]
        if rest.hasPrefix("http://") {
            rest.removeFirst(7)
        } else if rest.hasPrefix("https://") {
            rest.removeFirst(8)
            usesTLS = true
        } else {
            return nil
        }
        let pathStart = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
        var authority = rest[..<pathStart]
        var target = String(rest[pathStart...].prefix { $0 != "#" })
        if !target.hasPrefix("/") { target = "/" + target }
        port = usesTLS ? 443 : 80
        let closing = authority.lastIndex(of: "]")
        if let colon = authority.lastIndex(of: ":"), closing.map({ $0 < colon }) ?? true {
            guard let number = Int(authority[authority.index(after: colon)...]), (1...65535).contains(number) else {
                return nil
            }
            port = number
            authority = authority[..<colon]
        }
        if authority.hasPrefix("["), authority.hasSuffix("]") { authority = authority.dropFirst().dropLast() }
        let isHost =
            !authority.isEmpty && authority.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "@") }
        // What would end the request line may not be in it.
        guard isHost, target.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        host = String(authority)
        self.target = target
    }

    /// Where `sluice serve` listens if nobody says otherwise.
    static let local = HTTPURL(host: "127.0.0.1", port: 8080, target: "/")

    private init(host: String, port: Int, target: String) {
        self.host = host
        self.port = port
        self.target = target
    }

    /// The `Host` field.
    var authority: String {
        let host = host.contains(":") ? "[\(host)]" : host
        return port == (usesTLS ? 443 : 80) ? host : "\(host):\(port)"
    }

    var description: String {
        "\(usesTLS ? "https" : "http")://\(authority)\(target)"
    }

    /// The same server, with `path` below this URL's own.
    func appending(path: String) -> HTTPURL {
        var result = self
        var base = target.prefix { $0 != "?" }
        while base.hasSuffix("/") { base = base.dropLast() }
        result.target = base + path
        return result
    }

    func appending(query: [(name: String, value: String)]) -> HTTPURL {
        guard !query.isEmpty else { return self }
        var result = self
        let fields = query.map { "\(PercentEncoding.encode($0.name))=\(PercentEncoding.encode($0.value))" }
        result.target += (target.contains("?") ? "&" : "?") + fields.joined(separator: "&")
        return result
    }

    /// nil if the connection is not encrypted.
    func tlsContext() throws -> NIOSSLContext? {
        usesTLS ? try NIOSSLContext(configuration: .makeClientConfiguration()) : nil
    }

    /// The server's certificate has to name the host; an address has no server name indication (RFC 6066 §3).
    func tlsHandler(_ context: NIOSSLContext) throws -> NIOSSLClientHandler {
        let isAddress = (try? SocketAddress(ipAddress: host, port: 0)) != nil
        return try NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : host)
    }
}
