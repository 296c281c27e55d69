// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceRedis
import SluiceWeb

extension RedisLocator {
    /// A connection for a publisher.
    ///
    /// - Parameter installingFunction: `sluice_publish`, where it is missing and the user may.
    /// - Throws: of the kind `later` if the connection was lost when it had been made: Redis is there, and may be back.
    package func connect(
        on eventLoop: any EventLoop, installingFunction: Bool
    ) async throws(ClientError) -> NIOLoopBound<RedisConnection> {
        let connected = eventLoop.flatSubmit {
            connect(on: eventLoop).assumeIsolated().map { NIOLoopBound($0, eventLoop: eventLoop) }.nonisolated()
        }
        let connection: NIOLoopBound<RedisConnection>
        do { connection = try await connected.get() } catch { throw ClientError("can't connect to \(self)", error) }
        guard installingFunction else { return connection }
        do {
            try await eventLoop.flatSubmit { SluiceFunction.install(on: connection.value, timeout: .seconds(10)) }.get()
        } catch RedisError.refused {
            // A publisher's user may lack the right to install; a node has done it, or the publish itself will say so.
        } catch {
            throw ClientError("can't install the function sluice_publish in \(self)", error, RedisLocator.kind(error))
        }
        return connection
    }

    private static func kind(_ error: any Error) -> ClientError.Kind {
        switch error {
        case RedisError.lost, RedisError.unavailable: .later(after: nil)
        default: .refused
        }
    }
}
