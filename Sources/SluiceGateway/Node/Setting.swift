// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceCore
import SluiceRedis

/// One setting: its public name, its default and how its text is read. The help, the table in Operations.md and all
/// sources of settings follow this one table.
package struct Setting: Sendable {
    package let name: String
    /// What stands for the value in the help; nil for a switch.
    package let placeholder: String?
    package let standard: String
    package let meaning: String
    /// May be given several times: `apply` is called for each value. In the environment they have commas between them.
    package let isRepeatable: Bool
    package let apply: @Sendable (inout Settings, String) throws(Invalid) -> Void

    package struct Invalid: Error {
        package let expected: String
    }

    /// `SLUICE_` and the flag in capitals.
    package var environmentName: String {
        "SLUICE_" + name.uppercased().split(separator: "-").joined(separator: "_")
    }

    package static func named(_ name: some StringProtocol) -> Setting? {
        all.first { $0.name == name }
    }

    package static let all: [Setting] = [
        Setting(
            "listen", "HOST:PORT", "127.0.0.1:8080",
            "the public listener, on all addresses of the host; port 0: any, printed"
        ) {
            settings, text throws(Invalid) in settings.listen = try address(text)
        },
        Setting("admin-listen", "HOST:PORT", "127.0.0.1:9090", "health and metrics; off: none") {
            settings, text throws(Invalid) in settings.adminListen = text == "off" ? nil : try address(text)
        },
        Setting("redis", "URL", "", "redis://[user:password@]host[:port][/db] or rediss://; none: in-memory broker") {
            settings, text throws(Invalid) in
            do { settings.redis = try RedisURL(text) } catch { throw Invalid(expected: "\(error)") }
        },
        Setting("redis-ca", "FILE", "", "certificates (PEM) that sign a rediss:// server's; none: the system's") {
            settings, text throws(Invalid) in settings.redisCertificateAuthority = text
        },
        Setting(
            "redis-cert", "FILE", "", "certificate (PEM) that a rediss:// server asks of its clients; none: no such"
        ) {
            settings, text throws(Invalid) in settings.redisCertificate = text
        },
        Setting("redis-key", "FILE", "", "that certificate's private key (PEM)") {
            settings, text throws(Invalid) in settings.redisKey = text
        },
        Setting(
            "prefix", "NAME", "sluice",
            "of every Redis name; two deployments on one Redis need two, also in two databases: channels are in none"
        ) { settings, text throws(Invalid) in
            if let problem = RedisNames.problem(prefix: text) { throw Invalid(expected: problem) }
            settings.prefix = text
        },
        Setting("node-id", "ID", "", "shown in the header Sluice-Node; none: host name and a random part") {
            settings, text throws(Invalid) in
            guard NodeID.isValid(text) else {
                throw Invalid(expected: "needs 1 to 64 letters, digits, dots, hyphens or underscores")
            }
            settings.nodeID = text
        },
        Setting("threads", "N", "0", "event loops; 0: one for each core") { settings, text throws(Invalid) in
            settings.threads = try number(text, 0...1024)
        },
        Setting("heartbeat", "D", "15s", "silence before a comment") { settings, text throws(Invalid) in
            settings.heartbeat = try duration(text, .milliseconds(100) ... .hours(1))
        },
        Setting("checkpoint", "D", "5m", "longest age of a quiet stream's cursor") { settings, text throws(Invalid) in
            settings.checkpoint = try duration(text, .milliseconds(100) ... .hours(12))
        },
        Setting("retry", "D", "2s", "retry: of a stream is this") { settings, text throws(Invalid) in
            settings.retry = try duration(text, .zero ... .hours(1))
        },
        Setting("retry-spread", "D", "2s", "… and a random part of this") { settings, text throws(Invalid) in
            settings.retrySpread = try duration(text, .zero ... .hours(1))
        },
        Setting("lifetime", "D", "30m", "a stream is ended after 80-100 % of it; 0s: never") {
            settings, text throws(Invalid) in settings.lifetime = try duration(text, .zero ... .hours(24 * 30))
        },
        Setting(
            "drain", "D", "20s",
            "after SIGTERM, streams end spread over this time; other requests that were begun have 5 s more"
        ) {
            settings, text throws(Invalid) in settings.drain = try duration(text, .zero ... .hours(1))
        },
        Setting("log-events", "N", "1000", "events a log keeps when a publish names none") {
            settings, text throws(Invalid) in settings.logEvents = try number(text, 1...1_000_000)
        },
        Setting("log-ttl", "D", "1h", "life of a log when a publish names none") { settings, text throws(Invalid) in
            settings.logTTL = try duration(text, .seconds(1) ... .hours(24 * 7))
        },
        Setting(
            "max-log-events", "N", "",
            "most events that a publish over HTTP may have a log keep; not given: 100000, or --log-events"
        ) { settings, text throws(Invalid) in settings.logEventsMax = try number(text, Publication.maxlenRange) },
        Setting(
            "max-log-ttl", "D", "",
            "longest life that a publish over HTTP may give a log; not given: 24h, or --log-ttl"
        ) { settings, text throws(Invalid) in
            settings.logTTLMax = try duration(text, .seconds(1) ... .hours(24 * 7))
        },
        Setting("ring", "SIZE", "16MiB", "newest events kept in memory for slow readers") {
            settings, text throws(Invalid) in settings.ringBytes = try size(text, 64 << 10...16 << 30)
        },
        Setting("replay-cache", "SIZE", "16MiB", "pieces of logs kept in memory for streams that come back") {
            settings, text throws(Invalid) in settings.replayCacheBytes = try size(text, 1 << 20...16 << 30)
        },
        Setting("stall", "D", "30s", "a stream that took nothing for so long is closed") {
            settings, text throws(Invalid) in settings.stall = try duration(text, .milliseconds(100) ... .hours(1))
        },
        Setting("max-event", "SIZE", "1MiB", "data of one event") { settings, text throws(Invalid) in
            settings.eventBytesMax = try size(text, 1...32 << 20)
        },
        Setting(
            "topic-bytes", "SIZE", "32MiB",
            "what the node takes in of one topic or client in a second; of more, nothing is taken for a while; 0: no limit"
        ) { settings, text throws(Invalid) in settings.topicBytes = try size(text, 0...1 << 40) },
        Setting("max-topics", "N", "100", "topics of one stream") { settings, text throws(Invalid) in
            settings.topicsMax = try number(text, 1...10_000)
        },
        Setting("max-streams", "N", "0", "streams of this node; 0: what the limit of descriptors allows") {
            settings, text throws(Invalid) in settings.streamsMax = try number(text, 0...100_000_000)
        },
        Setting(
            "open-rate", "N", "20000", "streams that may open in a second; more are sent away with a time to come back"
        ) {
            settings, text throws(Invalid) in settings.openRate = try number(text, 1...100_000_000)
        },
        Setting(
            "topic-rate", "N", "20000",
            "topics that one address, and one token, may open in a second; 0: no limit"
        ) { settings, text throws(Invalid) in
            settings.topicRate = try number(text, 0...100_000_000)
        },
        Setting(
            "new-topic-rate", "N", "1000",
            "of those, topics that the node has to ask Redis for: new names, or logs to be read; 0: no limit"
        ) { settings, text throws(Invalid) in
            settings.newTopicRate = try number(text, 0...100_000_000)
        },
        Setting("max-body", "SIZE", "8MiB", "body of one request") { settings, text throws(Invalid) in
            settings.bodyBytesMax = try size(text, 1 << 10...1 << 30)
        },
        Setting("max-connections", "N", "0", "connections of this node; 0: what the limit of descriptors allows") {
            settings, text throws(Invalid) in
            settings.connectionsMax = try number(text, 0...100_000_000)
        },
        Setting(
            "connection-rate", "N", "",
            "connections of one address in a second; 0: no limit; not given: 500, and no limit for loopback"
        ) { settings, text throws(Invalid) in
            settings.connectionRate = try number(text, 0...100_000_000)
        },
        Setting(
            "max-streams-per-address", "N", "",
            "streams of one address (IPv6: of one /64, 16 times as many of one /48); 0: no limit; not given: 1000, and no limit for loopback"
        ) { settings, text throws(Invalid) in
            settings.streamsPerAddressMax = try number(text, 0...100_000_000)
        },
        Setting("max-streams-per-client", "N", "1000", "streams of one client id on this node; 0: no limit") {
            settings, text throws(Invalid) in
            settings.streamsPerClientMax = try number(text, 0...100_000_000)
        },
        Setting(
            "publish-rate", "N", "10000",
            "events that one token (in open mode: one address) may publish in a second, each target counts; 0: no limit"
        ) { settings, text throws(Invalid) in settings.publishRate = try number(text, 0...100_000_000) },
        Setting(
            "publish-bytes", "SIZE", "16MiB",
            "the same in bytes: of bodies, of data for each target, and 1 KiB for each event; 0: no limit"
        ) { settings, text throws(Invalid) in settings.publishBytes = try size(text, 0...1 << 40) },
        Setting("max-targets", "N", "1000", "targets of one publish") { settings, text throws(Invalid) in
            settings.targetsMax = try number(text, 1...10_000)
        },
        Setting("head-timeout", "D", "10s", "time for the head of a request") { settings, text throws(Invalid) in
            settings.headTimeout = try duration(text, .milliseconds(100) ... .hours(1))
        },
        Setting("body-timeout", "D", "30s", "time for the body of a request") { settings, text throws(Invalid) in
            settings.bodyTimeout = try duration(text, .milliseconds(100) ... .hours(1))
        },
        Setting("idle-timeout", "D", "75s", "a connection without a request is closed after it") {
            settings, text throws(Invalid) in
            settings.idleTimeout = try duration(text, .milliseconds(100) ... .hours(1))
        },
        Setting("tls-timeout", "D", "10s", "time for the TLS handshake") { settings, text throws(Invalid) in
            settings.tlsTimeout = try duration(text, .milliseconds(100) ... .hours(1))
        },
        Setting(
            "user-timeout", "D", "30s", "TCP_USER_TIMEOUT: a peer that acknowledges nothing for so long is given up"
        ) { settings, text throws(Invalid) in
            settings.userTimeout = try duration(text, .seconds(1) ... .hours(1))
        },
        Setting("max-target", "SIZE", "32KiB", "target of a request") { settings, text throws(Invalid) in
            settings.targetBytesMax = try size(text, 256...1 << 20)
        },
        Setting("max-header", "SIZE", "16KiB", "one header field") { settings, text throws(Invalid) in
            settings.headerBytesMax = try size(text, 256...1 << 20)
        },
        Setting("max-headers", "SIZE", "48KiB", "target and header fields of a request together") {
            settings, text throws(Invalid) in
            settings.headerListBytesMax = try size(text, 256...1 << 20)
        },
        Setting("max-header-count", "N", "100", "header fields of a request") { settings, text throws(Invalid) in
            settings.headerCountMax = try number(text, 8...10_000)
        },
        Setting("max-lines", "N", "10000", "lines of one NDJSON request") { settings, text throws(Invalid) in
            settings.linesMax = try number(text, 1...10_000_000)
        },
        Setting("max-http2-streams", "N", "128", "HTTP/2 streams of one connection at a time") {
            settings, text throws(Invalid) in
            settings.http2StreamsMax = try number(text, 1...10_000)
        },
        Setting("tls-cert", "FILE", "", "certificates (PEM), the node's own first; none: no TLS") {
            settings, text throws(Invalid) in settings.tlsCertificate = text
        },
        Setting("tls-key", "FILE", "", "the certificate's private key (PEM)") { settings, text throws(Invalid) in
            settings.tlsKey = text
        },
        Setting(
            "origin", "ORIGIN", "",
            "pages that may use this node: https://a.example, https://*.example.com or *; none: in open mode all, else its own",
            isRepeatable: true
        ) { settings, text throws(Invalid) in
            guard let origin = OriginPattern(text) else {
                throw Invalid(
                    expected: "takes an origin without a path, as https://a.example or https://*.example.com, or *")
            }
            settings.origins.append(origin)
        },
        Setting(
            "host", "NAME", "", "hosts that requests may name: a.example, a.example:8080 or *.example.com; none: all",
            isRepeatable: true
        ) { settings, text throws(Invalid) in
            guard let host = HostPattern(text) else {
                throw Invalid(expected: "takes a host, as a.example, a.example:8080, [::1] or *.example.com")
            }
            settings.hosts.append(host)
        },
        Setting(
            "trusted-proxy", "CIDR", "",
            "where X-Forwarded-For and Forwarded are believed, as 10.0.0.0/8; none: nowhere",
            isRepeatable: true
        ) { settings, text throws(Invalid) in
            do { settings.trustedProxies.append(try NetworkRange(text)) } catch {
                throw Invalid(expected: "\(error)")
            }
        },
        Setting("proxy-protocol", nil, "false", "public connections begin with a PROXY header (v1 or v2)") {
            settings, text throws(Invalid) in settings.expectsProxyHeader = try flag(text)
        },
        Setting("auth", "MODE", "open", "open: anybody may subscribe and publish; jwt: what their token says") {
            settings, text throws(Invalid) in
            guard let mode = Settings.AuthMode(rawValue: text) else { throw Invalid(expected: "takes open or jwt") }
            settings.auth = mode
        },
        Setting(
            "jwt-key", "[KID=]FILE", "",
            "key that signs tokens: PEM (public key or certificate), or a secret: one line of 32 to 256 characters",
            isRepeatable: true
        ) { settings, text throws(Invalid) in settings.jwtKeys.append(try keyFile(text)) },
        Setting(
            "jwt-publish-key", "[KID=]FILE", "",
            "the same for publishers; if given, tokens of other keys only subscribe",
            isRepeatable: true
        ) { settings, text throws(Invalid) in settings.jwtPublishKeys.append(try keyFile(text)) },
        Setting(
            "jwks", "FILE|URL", "", "a set of such keys; a URL is https, or http on loopback, and fetched anew",
            isRepeatable: true
        ) { settings, text throws(Invalid) in
            guard let location = KeySetLocation(text) else {
                throw Invalid(expected: "takes a file, an https:// address, or http:// on a loopback address")
            }
            settings.jwks.append(location)
        },
        Setting("jwt-issuer", "NAME", "", "tokens must come from it (iss); none: from any", isRepeatable: true) {
            settings, text throws(Invalid) in settings.jwtIssuers.append(try notEmpty(text))
        },
        Setting("jwt-audience", "NAME", "", "tokens must be made for it (aud); none: for any", isRepeatable: true) {
            settings, text throws(Invalid) in settings.jwtAudiences.append(try notEmpty(text))
        },
        Setting("jwt-cookie", "NAME", "sluice_token", "cookie that may hold the token") {
            settings, text throws(Invalid) in settings.jwtCookie = try cookieName(text)
        },
        Setting("jwt-leeway", "D", "5s", "how far clocks may differ: on exp and nbf") {
            settings, text throws(Invalid) in
            settings.jwtLeeway = try duration(text, .zero ... .minutes(5))
        },
        Setting(
            "anonymous", "PATTERN", "", "topics for those without a token: a name, or its beginning and *",
            isRepeatable: true
        ) { settings, text throws(Invalid) in settings.anonymous.append(try topicPattern(text)) },
        Setting("open", nil, "false", "open mode also where the listener is not loopback") {
            settings, text throws(Invalid) in settings.isOpen = try flag(text)
        },
        Setting("log-format", "FORMAT", "text", "text or json, one line each, on standard error") {
            settings, text throws(Invalid) in
            guard let format = Settings.LogFormat(rawValue: text) else { throw Invalid(expected: "takes text or json") }
            settings.logFormat = format
        },
        Setting("log-level", "LEVEL", "info", "trace, debug, info, notice, warning, error or critical") {
            settings, text throws(Invalid) in
            guard let level = Logger.Level(rawValue: text) else {
                throw Invalid(expected: "takes trace, debug, info, notice, warning, error or critical")
            }
            settings.logLevel = level
        },
    ]

    private init(
        _ name: String, _ placeholder: String?, _ standard: String, _ meaning: String, isRepeatable: Bool = false,
        apply: @escaping @Sendable (inout Settings, String) throws(Invalid) -> Void
    ) {
        self.name = name
        self.placeholder = placeholder
        self.standard = standard
        self.meaning = meaning
        self.isRepeatable = isRepeatable
        self.apply = apply
    }
}
