// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceCore
import SluiceRedis

/// Everything that can be set, checked. Where each comes from is in ``SettingsSource``.
package struct Settings: Sendable {
    package enum LogFormat: String, Sendable {
        case text
        case json
    }

    package enum AuthMode: String, Sendable {
        /// Anybody may do anything.
        case open
        case jwt
    }

    package var listen = ListenAddress(host: "127.0.0.1", port: 8080)
    /// nil: off.
    package var adminListen: ListenAddress? = ListenAddress(host: "127.0.0.1", port: 9090)
    /// nil: the in-memory broker.
    package var redis: RedisURL?
    package var redisCertificateAuthority: String?
    /// Files, PEM; both or none.
    package var redisCertificate: String?
    package var redisKey: String?
    package var prefix = "sluice"
    /// Empty: made up at the start.
    package var nodeID = ""
    /// 0: one for each core.
    package var threads = 0
    package var heartbeat = TimeAmount.seconds(15)
    package var checkpoint = TimeAmount.minutes(5)
    package var retry = TimeAmount.seconds(2)
    package var retrySpread = TimeAmount.seconds(2)
    package var lifetime = TimeAmount.minutes(30)
    package var drain = TimeAmount.seconds(20)
    package var logEvents = 1000
    package var logTTL = TimeAmount.hours(1)
    /// What a publish over HTTP may ask of a log; nil: ``standardLogEventsMax`` and ``standardLogTTLMax``, or what a log has
    /// if nothing is asked for, if that is more.
    package var logEventsMax: Int?
    package var logTTLMax: TimeAmount?
    package var ringBytes = 16 << 20
    package var replayCacheBytes = 16 << 20
    package var stall = TimeAmount.seconds(30)
    package var eventBytesMax = 1 << 20
    package var topicBytes = 32 << 20
    package var topicsMax = 100
    /// 0: what the limit of descriptors allows.
    package var streamsMax = 0
    /// Streams per second.
    package var openRate = 20_000
    /// Topics per second, of one address and of one token; 0: no limit.
    package var topicRate = 20_000
    /// Those of them that Redis has to be asked for.
    package var newTopicRate = 1_000
    /// Connections per second and address; nil: ``standardConnectionRate``, and no limit for loopback addresses; 0: no limit.
    package var connectionRate: Int?
    package var bodyBytesMax = 8 << 20
    /// Connections of this node; 0: what the limit of descriptors allows.
    package var connectionsMax = 0
    /// nil: ``StreamQuotas/standardPerAddress``, and no limit for loopback addresses; 0: no limit.
    package var streamsPerAddressMax: Int?
    /// 0: no limit.
    package var streamsPerClientMax = 1000
    /// Events per second and token, or address where there are no tokens; 0: no limit.
    package var publishRate = 10_000
    /// Bytes that are published per second, once for each target, and token or address; 0: no limit.
    package var publishBytes = 16 << 20
    /// Targets of one publish.
    package var targetsMax = 1000
    /// To the end of a request's head: from the beginning of the connection, or a later request's first byte.
    package var headTimeout = TimeAmount.seconds(10)
    package var bodyTimeout = TimeAmount.seconds(30)
    /// How long a connection may be without a request.
    package var idleTimeout = TimeAmount.seconds(75)
    package var tlsTimeout = TimeAmount.seconds(10)
    /// TCP_USER_TIMEOUT (RFC 5482).
    package var userTimeout = TimeAmount.seconds(30)
    /// Of a request's target, in bytes.
    package var targetBytesMax = 32 << 10
    /// Of one header field, and of all of them.
    package var headerBytesMax = 16 << 10
    package var headerListBytesMax = 48 << 10
    package var headerCountMax = 100
    /// Of one NDJSON request.
    package var linesMax = 10_000
    /// Of one connection, at a time.
    package var http2StreamsMax = 128
    /// Files, PEM; both or none.
    package var tlsCertificate: String?
    package var tlsKey: String?
    /// Empty: in open mode all, else the node's own.
    package var origins: [OriginPattern] = []
    /// Empty: all.
    package var hosts: [HostPattern] = []
    package var trustedProxies: [NetworkRange] = []
    /// Every connection of the public listener begins with a PROXY header.
    package var expectsProxyHeader = false
    package var auth = AuthMode.open
    package var jwtKeys: [KeyFile] = []
    /// If there are any, no token that is signed with another key publishes.
    package var jwtPublishKeys: [KeyFile] = []
    package var jwks: [KeySetLocation] = []
    /// Empty: any, as are the audiences.
    package var jwtIssuers: [String] = []
    package var jwtAudiences: [String] = []
    package var jwtCookie = "sluice_token"
    package var jwtLeeway = TimeAmount.seconds(5)
    /// What a request without a token may subscribe to, where tokens are asked for. Topics only.
    package var anonymous: [TargetPattern] = []
    package var isOpen = false
    package var logFormat = LogFormat.text
    package var logLevel = Logger.Level.info

    /// An office whose pages all come back at once is far below it; TLS with RSA keys costs half a core then.
    package static let standardConnectionRate = 500
    package static let standardLogEventsMax = 100_000
    package static let standardLogTTLMax = TimeAmount.hours(24)

    package init() {}

    /// What no single setting can tell; nil if all is well.
    package var problem: String? {
        if let problem = authProblem { return problem }
        if auth == .open, !isOpen, !listen.isLoopback {
            return "--listen: \(listen) can be reached from outside and anybody could subscribe and publish; "
                + "give --open if that is wanted, or listen on a loopback address"
        }
        if let logEventsMax, logEventsMax < logEvents {
            return "--max-log-events: a log keeps --log-events \(logEvents) if a publish names none, which is more"
        }
        if let logTTLMax, logTTLMax < logTTL {
            return "--max-log-ttl: a log lives for --log-ttl if a publish names none, which is longer"
        }
        let ofRedis = [("ca", redisCertificateAuthority), ("cert", redisCertificate), ("key", redisKey)]
        if redis?.usesTLS != true, let given = ofRedis.first(where: { $0.1 != nil }) {
            return "--redis-\(given.0): is for a --redis that begins with rediss://"
        }
        for (name, certificate, key) in [("tls", tlsCertificate, tlsKey), ("redis", redisCertificate, redisKey)]
        where (certificate == nil) != (key == nil) {
            return key == nil
                ? "--\(name)-cert: needs the certificate's key, --\(name)-key"
                : "--\(name)-key: needs the key's certificate, --\(name)-cert"
        }
        if headerBytesMax > headerListBytesMax {
            return "--max-header: one field can't be larger than all of them may be together, --max-headers"
        }
        if targetBytesMax > headerListBytesMax {
            return "--max-target: the target can't be larger than it may be with all header fields, --max-headers"
        }
        return nil
    }

    private var authProblem: String? {
        switch auth {
        case .open:
            let given: [(name: String, isGiven: Bool)] = [
                ("jwt-key", !jwtKeys.isEmpty), ("jwt-publish-key", !jwtPublishKeys.isEmpty), ("jwks", !jwks.isEmpty),
                ("jwt-issuer", !jwtIssuers.isEmpty), ("jwt-audience", !jwtAudiences.isEmpty),
                ("jwt-cookie", jwtCookie != Settings().jwtCookie), ("jwt-leeway", jwtLeeway != Settings().jwtLeeway),
                ("anonymous", !anonymous.isEmpty),
            ]
            return given.first(where: \.isGiven).map { "--\($0.name): is for --auth jwt; now anybody may do anything" }
        case .jwt:
            if jwtKeys.isEmpty, jwtPublishKeys.isEmpty, jwks.isEmpty {
                return "--auth: jwt needs a key: --jwt-key, --jwt-publish-key or --jwks"
            }
            return nil
        }
    }
}
