// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// What one JSON object of a `POST /publish` asks for, checked: the same event for each of its targets.
package struct PublishRequest: Sendable {
    package struct Limits: Sendable {
        package var dataBytesMax: Int
        /// How many events a log keeps, and for how long, if the request names neither.
        package var retention: Publication.Retention
        /// What the request may name.
        package var maxlenMax = Publication.maxlenRange.upperBound
        package var ttlMax = Publication.ttlRange.upperBound
        /// Targets of one request.
        package var targetsMax = 1000
        /// Data of one request, once for each target: it has to fit into what may wait for Redis, and a single one must not
        /// be many seconds' worth.
        package var bytesMax = 32 << 20

        package init(dataBytesMax: Int, maxlen: Int, ttl: Int) {
            self.dataBytesMax = min(dataBytesMax, Publication.dataBytesMax)
            retention = Publication.Retention(maxlen: maxlen, ttl: ttl)
        }

        package init(_ settings: Settings) {
            func seconds(_ time: TimeAmount) -> Int { max(1, Int(time.nanoseconds / 1_000_000_000)) }
            let (maxlen, ttl) = (settings.logEvents, seconds(settings.logTTL))
            self.init(dataBytesMax: settings.eventBytesMax, maxlen: maxlen, ttl: ttl)
            maxlenMax = settings.logEventsMax ?? max(Settings.standardLogEventsMax, maxlen)
            ttlMax = settings.logTTLMax.map(seconds) ?? max(seconds(Settings.standardLogTTLMax), ttl)
            targetsMax = settings.targetsMax
            if settings.publishBytes > 0 {
                bytesMax = min(bytesMax, max(settings.publishBytes, settings.bodyBytesMax))
            }
        }
    }

    package let targets: [Target]
    private let event: Event
    private let retention: Publication.Retention?
    private let once: String?
    private let replicas: Int?
    /// Where its publisher's trace goes on.
    package var trace: TraceParent?

    package init(
        targets: [Target], event: Event, retention: Publication.Retention?, once: String? = nil, replicas: Int? = nil
    ) {
        self.targets = targets
        self.event = event
        self.retention = retention
        self.once = once
        self.replicas = replicas
    }

    package var publications: [Publication] {
        targets.map {
            Publication(event, to: $0, retention: retention, once: once, replicas: replicas, trace: trace)
        }
    }

    package var isRepeatable: Bool { once != nil }

    package var dataBytes: Int { event.data.readableBytes }

    /// What it makes Redis take and keep, in bytes: the data once for each target, and what an entry, a marker and a token
    /// need beside it.
    package var bytes: Int { targets.count * (dataBytes + Publication.overheadBytes) }
}
