// SPDX-License-Identifier: Apache-2.0
import Logging
import NIOCore
import NIOHTTP1
import SluiceWeb
import Synchronization

/// A key set at a URL, fetched again and again. What was fetched last stays good while the URL is down.
package actor RemoteKeys {
    /// Together 3 s: what a request with an unknown key may have to wait.
    private static let connectTimeout = TimeAmount.seconds(1)
    private static let replyTimeout = TimeAmount.seconds(2)

    private let dialer: WebDialer
    private let eventLoop: any EventLoop
    private let clock: @Sendable () -> NIODeadline
    private let logger: Logger
    private let fetched = Mutex<(keys: [TokenKey], times: Int)>(([], 0))
    private var refresh: KeyRefresh
    private var running: Task<Void, Never>?

    package init(
        _ address: WebAddress, eventLoop: any EventLoop, clock: @escaping @Sendable () -> NIODeadline, logger: Logger
    ) throws(WebDialer.BadCertificates) {
        dialer = try WebDialer(address, connectTimeout: RemoteKeys.connectTimeout)
        self.eventLoop = eventLoop
        self.clock = clock
        self.logger = logger
        refresh = KeyRefresh(now: clock())
    }

    /// Those that are known now.
    package nonisolated var keys: [TokenKey] { fetched.withLock { $0.keys } }

    /// How often they were fetched: as long as it stays, they are the same.
    package nonisolated var generation: Int { fetched.withLock { $0.times } }

    /// Fetches where it is due; returns how long it is until the next time.
    package func refreshIfDue() async -> TimeAmount {
        if refresh.due <= clock() { await fetch() }
        return max(.milliseconds(100), refresh.due - clock())
    }

    /// All who ask while a fetch is under way wait for that one.
    ///
    /// - Returns: whether the keys are those of now: they were fetched since the call. A fetch that had begun before may bring what
    ///   was there before, and in the pause after it there is none: strangers can't have keys fetched all the time.
    package func refreshForUnknownKey() async -> Bool {
        let isUnderWay = running != nil
        let known = generation
        guard isUnderWay || refresh.mayFetchForUnknownKey(now: clock()) else { return false }
        await fetch()
        return !isUnderWay && generation > known
    }

    private func fetch() async {
        if let running { return await running.value }
        refresh.began(now: clock())
        let task = Task { await fetchOnce() }
        running = task
        await task.value
    }

    private func fetchOnce() async {
        var isSuccess = false
        do {
            let keys = try await KeySet(try await text(), allowsSecrets: false).keys
            // More likely a mistake than the wish that nobody comes in.
            if keys.isEmpty { throw Refused(description: "no key of the set can be used") }
            fetched.withLock { $0 = (keys, $0.times + 1) }
            isSuccess = true
        } catch {
            logger.warning(
                "can't fetch the keys: \(NetworkError.reason(error))",
                metadata: metadata.merging(["known": "\(keys.count)"]) { $1 })
        }
        var generator = SystemRandomNumberGenerator()
        refresh.ended(successfully: isSuccess, now: clock(), using: &generator)
        running = nil
    }

    private var metadata: Logger.Metadata { ["jwks": "\(dialer.address)"] }

    private struct Refused: Error, CustomStringConvertible {
        let description: String
    }

    private func text() async throws -> String {
        let limits = WebConnection.Limits(bodyBytesMax: KeySet.bytesMax, replyTimeout: RemoteKeys.replyTimeout)
        let headers: HTTPHeaders = [
            "Host": dialer.address.hostHeader, "User-Agent": "sluice", "Accept": "application/json",
            "Connection": "close",
        ]
        let target = dialer.address.target
        let reply = try await WebConnection.connect(dialer, on: eventLoop, limits: limits).flatMap { connection in
            connection.value.get(target, headers: headers).always { _ in connection.value.close() }
        }.get()
        // Redirects are not followed: where the keys are is for the settings to say.
        guard reply.status == .ok else { throw Refused(description: "the answer is \(reply.status)") }
        return String(buffer: reply.body)
    }
}
