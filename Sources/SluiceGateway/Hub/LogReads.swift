// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// Reads pages of logs for whoever asks; those who ask for the same log while it is being read share the next read.
///
/// So a storm of streams that come back costs the broker reads in proportion to topics, not to streams. Lives on the
/// hub's loop.
package final class LogReads {
    /// Entries of a page. One may have a megabyte, and the connection bounds a reply.
    private static let pageEntries = 32
    /// What a page should have in bytes, where a log's entries are known to be large: a slow stream forgets what it can't
    /// take, and would have it read again for every few events that go out.
    private static let pageBytes = 256 << 10
    /// Logs whose entries' size is remembered.
    private static let sizesMax = 4096

    private struct Waiting {
        let after: EventID
        let promise: EventLoopPromise<LogPage>
        /// A page was read that had nothing for it.
        var wasPassedOver = false
    }

    private let broker: any Broker
    private let eventLoop: any EventLoop
    private let counters: Counters
    /// What waits for each log that is being read, or is about to be.
    private var waiting: [Target: [Waiting]] = [:]
    /// Bytes of an entry in the last page, for logs where a full page would be too much.
    private var sizes: [Target: Int] = [:]

    package init(broker: any Broker, eventLoop: any EventLoop, counters: Counters) {
        self.broker = broker
        self.eventLoop = eventLoop
        self.counters = counters
    }

    package func read(_ target: Target, after id: EventID) -> EventLoopFuture<LogPage> {
        let promise = eventLoop.makePromise(of: LogPage.self)
        if waiting[target]?.append(Waiting(after: id, promise: promise)) == nil {
            waiting[target] = [Waiting(after: id, promise: promise)]
            // Not yet: others of this turn may want the same.
            eventLoop.assumeIsolated().execute { [self] in start(target) }
        }
        return promise.futureResult
    }

    private func start(_ target: Target) {
        // From where most can be served; but who was passed over comes first, or those far behind would keep others
        // waiting for as long as they read.
        guard let served = waiting[target],
            let after = served.first(where: \.wasPassedOver)?.after ?? served.map(\.after).min()
        else {
            waiting[target] = nil
            return
        }
        waiting[target] = []
        counters.logReads.add(1)
        let count = sizes[target].map { max(1, LogReads.pageBytes / $0) } ?? LogReads.pageEntries
        broker.read(target, after: after, count: count).assumeIsolated().whenComplete { [self] result in
            finish(target, result, after: after, served)
            if waiting[target]?.isEmpty == true { waiting[target] = nil } else { start(target) }
        }
    }

    private func note(_ page: LogPage, of target: Target) {
        let bytes = page.entries.reduce(0) { $0 + $1.data.readableBytes }
        let size = bytes / max(page.entries.count, 1)
        if size * LogReads.pageEntries <= LogReads.pageBytes {
            sizes[target] = nil
        } else {
            if sizes.count >= LogReads.sizesMax { sizes.removeAll() }
            sizes[target] = size
        }
    }

    private func finish(
        _ target: Target, _ result: Result<LogPage, any Error>, after: EventID, _ served: [Waiting]
    ) {
        switch result {
        case .failure(let error):
            for waiting in served { waiting.promise.fail(error) }
        case .success(let page):
            note(page, of: target)
            for var one in served {
                let entries =
                    page.entries.first.map { $0.id > one.after } ?? true
                    ? page.entries : page.entries.filter { $0.id > one.after }
                if one.after < after || (entries.isEmpty && !page.isLast) {
                    // Its part lies before this page, or behind it.
                    one.wasPassedOver = true
                    waiting[target, default: []].append(one)
                } else {
                    one.promise.succeed(LogPage(marker: page.marker, entries: entries, isLast: page.isLast))
                }
            }
        }
    }
}

@available(*, unavailable)
extension LogReads: Sendable {}
