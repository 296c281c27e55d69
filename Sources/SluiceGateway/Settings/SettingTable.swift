// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceCore
import SluiceRedis

/// Every setting: its name, the values it takes, its default and its meaning.
///
/// Each has the property's name in ``Settings``. The flag, the variable and the key in the file, their errors and the help
/// follow from the one line; a test says what the table in Operations.md and deploy/config.yaml have to say.
package final class SettingTable: Sendable {
    static let declared = SettingTable()

    /// In the order of the help.
    package static let all: [any AnySetting] = Mirror(reflecting: declared).children.compactMap {
        $0.value as? any AnySetting
    }

    package static func named(_ name: some StringProtocol) -> (any AnySetting)? {
        all.first { $0.name == name }
    }

    /// The settings as a person reads them.
    package static var help: String {
        let width = all.map(\.flag.count).max() ?? 0
        return all.map { setting in
            let space = String(repeating: " ", count: width - setting.flag.count + 2)
            let standard = setting.standard.isEmpty || setting.placeholder == nil ? "" : " (\(setting.standard))"
            return "  \(setting.flag)\(space)\(setting.meaning)\(standard)\n"
        }.joined()
    }

    package let listen = Setting(
        "listen", .address, "127.0.0.1:8080", "the public listener, on all addresses of the host; port 0: any, printed")
    package let adminListen = Setting(
        "admin-listen", .optional(.address, none: "off"), "127.0.0.1:9090", "health and metrics; off: none")
    package let redis = Setting(
        "redis", .optional(.redisURL), "",
        "redis://[user:password@]host[:port][/db], redis+sentinel://[user:password@]host[:port],…/MASTER[/db], "
            + "redis+cluster://[user:password@]host[:port],…, with TLS rediss…; none: in-memory broker")
    package let sentinelUser = Setting(
        "sentinel-user", .optional(.text("NAME")), "", "who the node is to the Sentinels; none: their default user")
    package let sentinelPassword = Setting(
        "sentinel-password", .optional(.secret), "", "that user's password; none: Sentinels that ask for none")
    package let redisCertificateAuthority = Setting(
        "redis-ca", .optional(.file), "", "certificates (PEM) that sign a rediss:// server's; none: the system's")
    package let redisCertificate = Setting(
        "redis-cert", .optional(.file), "",
        "certificate (PEM) that a rediss:// server asks of its clients; none: no such")
    package let redisKey = Setting("redis-key", .optional(.file), "", "that certificate's private key (PEM)")
    package let prefix = Setting(
        "prefix", .redisPrefix, "sluice",
        "of every Redis name; two deployments on one Redis need two, also in two databases: channels are in none")
    package let nodeID = Setting(
        "node-id", .nodeID, "", "of this node alone, shown in the header Sluice-Node; none: host name and a random part"
    )
    package let tellsPresence = Setting(
        "presence", .flag, "off", "tell in the Redis stream <prefix>:presence which clients come and go")
    package let presenceEvents = Setting(
        "presence-events", .number(1...10_000_000), "10000", "changes that this stream keeps")
    package let threads = Setting("threads", .number(0...1024), "0", "event loops; 0: one for each core")
    package let heartbeat = Setting("heartbeat", .timeout, "15s", "silence before a comment")
    package let checkpoint = Setting(
        "checkpoint", .duration(.milliseconds(100) ... .hours(12)), "5m", "longest age of a quiet stream's cursor")
    package let retry = Setting("retry", .duration(.zero ... .hours(1)), "2s", "retry: of a stream is this")
    package let retrySpread = Setting(
        "retry-spread", .duration(.zero ... .hours(1)), "2s", "… and a random part of this")
    package let lifetime = Setting(
        "lifetime", .duration(.zero ... .hours(24 * 30)), "30m", "a stream is ended after 80-100 % of it; 0s: never")
    package let drain = Setting(
        "drain", .duration(.zero ... .hours(1)), "20s",
        "after SIGTERM, streams end spread over this time; other requests that were begun have 5 s more")
    package let rebalances = Setting(
        "rebalance", .flag, "off",
        "a node with more than 1.2 × the mean of all nodes' streams ends some of its own, at most 1 % of them in a second"
    )
    package let logEvents = Setting(
        "log-events", .number(1...1_000_000), "1000", "events a log keeps when a publish names none")
    package let logTTL = Setting(
        "log-ttl", .duration(.seconds(1) ... .hours(24 * 7)), "1h", "life of a log when a publish names none")
    package let logEventsMax = Setting(
        "max-log-events", .optional(.number(Publication.maxlenRange)), "",
        "most events that a publish over HTTP may have a log keep; not given: 100000, or --log-events")
    package let logTTLMax = Setting(
        "max-log-ttl", .optional(.duration(.seconds(1) ... .hours(24 * 7))), "",
        "longest life that a publish over HTTP may give a log; not given: 24h, or --log-ttl")
    package let ringBytes = Setting(
        "ring", .size(64 << 10...16 << 30), "16MiB", "newest events that each thread keeps in memory for slow readers")
    package let replayCacheBytes = Setting(
        "replay-cache", .size(1 << 20...16 << 30), "16MiB", "pieces of logs kept in memory for streams that come back")
    package let stall = Setting("stall", .timeout, "30s", "a stream that took nothing for so long is closed")
    package let eventBytesMax = Setting("max-event", .size(1...32 << 20), "1MiB", "data of one event")
    package let topicBytes = Setting(
        "topic-bytes", .size(0...1 << 40), "32MiB",
        "what the node takes in of one topic or client in a second; of more, nothing is taken for a while; 0: no limit")
    package let topicsMax = Setting("max-topics", .number(1...10_000), "100", "topics of one stream")
    package let streamsMax = Setting(
        "max-streams", .limit, "0", "streams of this node; 0: what the limit of descriptors allows")
    package let openRate = Setting(
        "open-rate", .number(1...100_000_000), "20000",
        "streams that may open in a second; more are sent away with a time to come back")
    package let topicRate = Setting(
        "topic-rate", .limit, "20000", "topics that one address, and one token, may open in a second; 0: no limit")
    package let newTopicRate = Setting(
        "new-topic-rate", .limit, "1000",
        "of those, topics that the node has to ask Redis for: new names, or logs to be read; 0: no limit")
    package let bodyBytesMax = Setting("max-body", .size(1 << 10...1 << 30), "8MiB", "body of one request")
    package let connectionsMax = Setting(
        "max-connections", .limit, "0", "connections of this node; 0: what the limit of descriptors allows")
    package let connectionRate = Setting(
        "connection-rate", .optional(.limit), "",
        "connections of one address in a second; 0: no limit; not given: 500, and no limit for loopback")
    package let streamsPerAddressMax = Setting(
        "max-streams-per-address", .optional(.limit), "",
        "streams of one address (IPv6: of one /64, 16 times as many of one /48); 0: no limit; not given: 1000, and no limit for loopback"
    )
    package let streamsPerClientMax = Setting(
        "max-streams-per-client", .limit, "1000", "streams of one client id on this node; 0: no limit")
    package let publishRate = Setting(
        "publish-rate", .limit, "10000",
        "events that one token (in open mode: one address) may publish in a second, each target counts; 0: no limit")
    package let publishBytes = Setting(
        "publish-bytes", .size(0...1 << 40), "16MiB",
        "the same in bytes: of bodies, of data for each target, and 1 KiB for each event; 0: no limit")
    package let targetsMax = Setting("max-targets", .number(1...10_000), "1000", "targets of one publish")
    package let headTimeout = Setting("head-timeout", .timeout, "10s", "time for the head of a request")
    package let bodyTimeout = Setting("body-timeout", .timeout, "30s", "time for the body of a request")
    package let idleTimeout = Setting(
        "idle-timeout", .timeout, "75s", "a connection without a request is closed after it")
    package let tlsTimeout = Setting("tls-timeout", .timeout, "10s", "time for the TLS handshake")
    package let userTimeout = Setting(
        "user-timeout", .duration(.seconds(1) ... .hours(1)), "30s",
        "TCP_USER_TIMEOUT: a peer that acknowledges nothing for so long is given up")
    package let targetBytesMax = Setting("max-target", .size(256...1 << 20), "32KiB", "target of a request")
    package let headerBytesMax = Setting("max-header", .size(256...1 << 20), "16KiB", "one header field")
    package let headerListBytesMax = Setting(
        "max-headers", .size(256...1 << 20), "48KiB", "target and header fields of a request together")
    package let headerCountMax = Setting("max-header-count", .number(8...10_000), "100", "header fields of a request")
    package let linesMax = Setting("max-lines", .number(1...10_000_000), "10000", "lines of one NDJSON request")
    package let http2StreamsMax = Setting(
        "max-http2-streams", .number(1...10_000), "128", "HTTP/2 streams of one connection at a time")
    package let tlsCertificate = Setting(
        "tls-cert", .optional(.file), "", "certificates (PEM), the node's own first; none: no TLS")
    package let tlsKey = Setting("tls-key", .optional(.file), "", "the certificate's private key (PEM)")
    package let origins = Setting(
        "origin", .list(.origin), "",
        "pages that may use this node: https://a.example, https://*.example.com or *; none: in open mode all, else its own"
    )
    package let hosts = Setting(
        "host", .list(.host), "", "hosts that requests may name: a.example, a.example:8080 or *.example.com; none: all")
    package let trustedProxies = Setting(
        "trusted-proxy", .list(.range), "",
        "where X-Forwarded-For and Forwarded are believed, as 10.0.0.0/8; none: nowhere")
    package let expectsProxyHeader = Setting(
        "proxy-protocol", .flag, "off", "public connections begin with a PROXY header (v1 or v2)")
    package let auth = Setting<AuthMode>(
        "auth", .choice("MODE"), "open", "open: anybody may subscribe and publish; jwt: what their token says")
    package let jwtKeys = Setting(
        "jwt-key", .list(.keyFile), "",
        "key that signs tokens: PEM (public key or certificate), or a secret: one line of 32 to 256 characters")
    package let jwtPublishKeys = Setting(
        "jwt-publish-key", .list(.keyFile), "",
        "the same for publishers; if given, tokens of other keys only subscribe")
    package let jwks = Setting(
        "jwks", .list(.keySet), "", "a set of such keys; a URL is https, or http on loopback, and fetched anew")
    package let jwtIssuers = Setting(
        "jwt-issuer", .list(.text("NAME")), "", "tokens must come from it (iss); none: from any")
    package let jwtAudiences = Setting(
        "jwt-audience", .list(.text("NAME")), "", "tokens must be made for it (aud); none: for any")
    package let jwtCookie = Setting("jwt-cookie", .cookieName, "sluice_token", "cookie that may hold the token")
    package let jwtLeeway = Setting(
        "jwt-leeway", .duration(.zero ... .minutes(5)), "5s", "how far clocks may differ: on exp and nbf")
    package let anonymous = Setting(
        "anonymous", .list(.topics), "", "topics for those without a token: a name, or its beginning and *")
    package let isOpen = Setting("open", .flag, "off", "open mode also where the listener is not loopback")
    package let logFormat = Setting<LogFormat>(
        "log-format", .choice("FORMAT"), "text", "text or json, one line each, on standard error")
    package let logLevel = Setting<Logger.Level>(
        "log-level", .choice("LEVEL"), "info", "trace, debug, info, notice, warning, error or critical")
    package let logSample = Setting(
        "log-sample", .number(0...1_000_000_000), "0",
        "one in so many events is in the log, and each with a traceparent that is sampled; at most 100 a second; 0: none"
    )
}

extension Settings {
    package subscript<Value>(dynamicMember path: KeyPath<SettingTable, Setting<Value>>) -> Value {
        get { SettingTable.declared[keyPath: path].value(in: self) }
        set { SettingTable.declared[keyPath: path].set(newValue, in: &self) }
    }
}
