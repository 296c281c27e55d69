// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// The Redis function `sluice_publish`: its source, and how a node installs it.
package enum SluiceFunction {
    package static let source = String(decoding: PackageResources.sluice_lua, as: UTF8.self)

    /// Raised with every change of the source.
    package static let version: Int64 = {
        let line = source.split(separator: "\n").first { $0.hasPrefix("local VERSION = ") } ?? ""
        return Int64(line.dropFirst(16).prefix { $0.isNumber }) ?? 0
    }()

    /// Loads the function if Redis has none or an older one; a newer one stays, so that a rolling deploy can go both ways.
    ///
    /// Fails with ``RedisError`` if it can't be loaded, as for a missing right, or a foreign library of the same name.
    package static func install(on connection: RedisConnection, timeout: TimeAmount) -> EventLoopFuture<Void> {
        let connection = NIOLoopBound(connection, eventLoop: connection.eventLoop)
        return installedVersion(on: connection.value, timeout: timeout).flatMap { installed in
            if let installed, installed >= version { return connection.eventLoop.makeSucceededVoidFuture() }
            let words: RESPCommand = installed == nil ? ["FUNCTION", "LOAD"] : ["FUNCTION", "LOAD", "REPLACE"]
            var command = words
            command.append(source)
            return connection.value.send(command, timeout: timeout).map { _ in }.flatMapError { error in
                // Another node may have been faster.
                installedVersion(on: connection.value, timeout: timeout).flatMapThrowing { now in
                    if now.map({ $0 < version }) ?? true { throw error }
                }
            }
        }
    }

    /// nil if Redis has no such function.
    private static func installedVersion(
        on connection: RedisConnection, timeout: TimeAmount
    ) -> EventLoopFuture<Int64?> {
        connection.send(["FCALL", "sluice_version", "0"], timeout: timeout).map { reply -> Int64? in
            if case .integer(let version) = reply { version } else { nil }
        }.flatMapErrorThrowing { error -> Int64? in
            // "Function not found", or a missing right: loading will fail too, and say why.
            guard case RedisError.refused = error else { throw error }
            return nil
        }
    }
}
