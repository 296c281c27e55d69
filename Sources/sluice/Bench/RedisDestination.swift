// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceRedis

/// `PUBLISH`, or `FCALL sluice_publish`.
final class RedisDestination: BenchDestination {
    private static let timeout = TimeAmount.seconds(30)

    private let connection: RedisConnection
    private let channel: BenchTemplate
    private let isLogged: Bool

    init(_ connection: RedisConnection, channel: BenchTemplate, isLogged: Bool) {
        self.connection = connection
        self.channel = channel
        self.isLogged = isLogged
    }

    func publish(_ payload: ByteBuffer, topic: Int) -> EventLoopFuture<Int?> {
        var command: RESPCommand = isLogged ? ["FCALL", "sluice_publish", "1"] : ["PUBLISH"]
        command.append(channel.text(topic: topic))
        command.words.append(payload)
        return connection.send(command, timeout: RedisDestination.timeout).map { reply in
            switch reply {
            case .integer(let nodes): return Int(nodes)
            case .array(let values):
                guard case .integer(let nodes) = values.last else { return nil }
                return Int(nodes)
            default: return nil
            }
        }
    }

    func close() {
        connection.close()
    }
}

@available(*, unavailable)
extension RedisDestination: Sendable {}
