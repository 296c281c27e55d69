// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceRedis

extension Settings {
    /// What no single setting can tell; nil if all is well.
    package var problem: String? {
        if let problem = authProblem { return problem }
        if self.auth == .open, !self.isOpen, !self.listen.isLoopback {
            return "--listen: \(self.listen) can be reached from outside and anybody could subscribe and publish; "
                + "give --open if that is wanted, or listen on a loopback address"
        }
        if let max = self.logEventsMax, max < self.logEvents {
            return "--max-log-events: a log keeps --log-events \(self.logEvents) if a publish names none, which is more"
        }
        if let max = self.logTTLMax, max < self.logTTL {
            return "--max-log-ttl: a log lives for --log-ttl if a publish names none, which is longer"
        }
        if self.tellsPresence, self.redis == nil { return "--presence: is for a node with --redis" }
        if self.rebalances, self.redis == nil { return "--rebalance: is for a node with --redis" }
        let ofRedis = [("ca", self.redisCertificateAuthority), ("cert", self.redisCertificate), ("key", self.redisKey)]
        if self.redis?.usesTLS != true, let given = ofRedis.first(where: { $0.1 != nil }) {
            return "--redis-\(given.0): is for a --redis with TLS: rediss://, rediss+sentinel://"
        }
        if let problem = sentinelProblem { return problem }
        for (name, certificate, key) in [
            ("tls", self.tlsCertificate, self.tlsKey), ("redis", self.redisCertificate, self.redisKey),
        ]
        where (certificate == nil) != (key == nil) {
            return key == nil
                ? "--\(name)-cert: needs the certificate's key, --\(name)-key"
                : "--\(name)-key: needs the key's certificate, --\(name)-cert"
        }
        if self.headerBytesMax > self.headerListBytesMax {
            return "--max-header: one field can't be larger than all of them may be together, --max-headers"
        }
        if self.targetBytesMax > self.headerListBytesMax {
            return "--max-target: the target can't be larger than it may be with all header fields, --max-headers"
        }
        return nil
    }

    private var sentinelProblem: String? {
        if case .sentinel? = self.redis?.kind {
            let lacksPassword = self.sentinelUser != nil && self.sentinelPassword == nil
            return lacksPassword ? "--sentinel-user: needs the user's password, --sentinel-password" : nil
        }
        for (name, value) in [("user", self.sentinelUser), ("password", self.sentinelPassword)] where value != nil {
            return "--sentinel-\(name): is for a --redis that begins with redis+sentinel:// or rediss+sentinel://"
        }
        return nil
    }

    private var authProblem: String? {
        switch self.auth {
        case .open:
            let given: [(name: String, isGiven: Bool)] = [
                ("jwt-key", !self.jwtKeys.isEmpty), ("jwt-publish-key", !self.jwtPublishKeys.isEmpty),
                ("jwks", !self.jwks.isEmpty),
                ("jwt-issuer", !self.jwtIssuers.isEmpty), ("jwt-audience", !self.jwtAudiences.isEmpty),
                ("jwt-cookie", self.jwtCookie != Settings().jwtCookie),
                ("jwt-leeway", self.jwtLeeway != Settings().jwtLeeway),
                ("anonymous", !self.anonymous.isEmpty),
            ]
            return given.first(where: \.isGiven).map { "--\($0.name): is for --auth jwt; now anybody may do anything" }
        case .jwt:
            if self.jwtKeys.isEmpty, self.jwtPublishKeys.isEmpty, self.jwks.isEmpty {
                return "--auth: jwt needs a key: --jwt-key, --jwt-publish-key or --jwks"
            }
            return nil
        }
    }
}
