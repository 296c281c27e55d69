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
    package static func install(on connection: RedisConnection, timeout: TimeAmount) -> EventLoopFuture<Void> {
        let installed = connection.send(["FCALL", "sluice_version", "0"], timeout: timeout).map { reply -> Int64? in
            if case .integer(let version) = reply { version } else { nil }
        }.flatMapErrorThrowing { error -> Int64? in
            // "Function not found": everything else will fail again below, and say why.
            guard case RedisError.refused = error else { throw error }
            return nil
        }
        return installed.assumeIsolated().flatMap { installed in
            var command: RESPCommand = ["FUNCTION", "LOAD"]
            if let installed {
                if installed >= version { return connection.send(["PING"], timeout: timeout).map { _ in } }
                command.append("REPLACE")
            }
            command.append(source)
            return connection.send(command, timeout: timeout).map { _ in }.flatMapErrorThrowing { error in
                // Another node was faster.
                guard case RedisError.refused(let message) = error, message.contains("already exists") else {
                    throw error
                }
            }
        }.nonisolated()
    }
}
