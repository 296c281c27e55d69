// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import NIOCore
import SluiceCore
import SluiceRedis

extension RedisURL: ExpressibleByArgument {
    package init?(argument: String) {
        try? self.init(argument)
    }
}

/// Makes connections to one Redis for a command.
struct RedisDialer: Sendable {
    let locator: RedisLocator

    /// - Parameter installingFunction: where it is missing and the user may.
    /// - Throws: ``Failure``.
    func connect(
        on eventLoop: any EventLoop, installingFunction: Bool
    ) async throws -> NIOLoopBound<RedisConnection> {
        let locator = locator
        let connected = eventLoop.flatSubmit {
            locator.connect(on: eventLoop).assumeIsolated().map {
                NIOLoopBound($0, eventLoop: eventLoop)
            }.nonisolated()
        }
        let connection: NIOLoopBound<RedisConnection>
        do { connection = try await connected.get() } catch {
            throw Failure("can't connect to \(locator)", error)
        }
        guard installingFunction else { return connection }
        do {
            try await eventLoop.flatSubmit { SluiceFunction.install(on: connection.value, timeout: .seconds(10)) }.get()
        } catch RedisError.refused {
            // A publisher's user may lack the right to install; a node has done it, or the publish itself will say so.
        } catch {
            throw Failure("can't install the function sluice_publish in \(locator)", error)
        }
        return connection
    }
}
