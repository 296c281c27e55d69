// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import SluiceRedis

/// Everything that can be set, checked. Where each comes from is in ``SettingsSource``.
package struct Settings: Sendable {
    package enum LogFormat: String, Sendable {
        case text
        case json
    }

    package var listen = ListenAddress(host: "127.0.0.1", port: 8080)
    /// nil: off.
    package var adminListen: ListenAddress? = ListenAddress(host: "127.0.0.1", port: 9090)
    /// nil: the in-memory broker.
    package var redis: RedisURL?
    package var redisCertificateAuthority: String?
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
    package var ringBytes = 16 << 20
    package var stall = TimeAmount.seconds(30)
    package var eventBytesMax = 1 << 20
    package var topicsMax = 100
    /// 0: what the limit of descriptors allows.
    package var streamsMax = 0
    /// Streams per second.
    package var openRate = 20_000
    package var bodyBytesMax = 8 << 20
    package var isOpen = false
    package var logFormat = LogFormat.text
    package var logLevel = Logger.Level.info

    package init() {}

    /// What no single setting can tell; nil if all is well.
    package var problem: String? {
        if !isOpen, !listen.isLoopback {
            return "--listen: \(listen) can be reached from outside and anybody could subscribe and publish; "
                + "give --open if that is wanted, or listen on a loopback address"
        }
        if redisCertificateAuthority != nil, redis?.usesTLS != true {
            return "--redis-ca: is for a --redis that begins with rediss://"
        }
        return nil
    }
}

/// `HOST:PORT`; an IPv6 address in brackets.
package struct ListenAddress: Equatable, Sendable, CustomStringConvertible {
    package var host: String
    package var port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65535).contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty else { return nil }
        self.init(host: String(host), port: port)
    }

    package var isLoopback: Bool {
        host == "localhost" || host == "::1" || (host.hasPrefix("127.") && host.split(separator: ".").count == 4)
    }

    package var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
