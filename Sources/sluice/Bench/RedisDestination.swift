// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
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
        let channel = channel.text(topic: topic)
        let command = isLogged ? SluiceFunction.publish(payload, to: channel) : .publish(payload, on: channel)
        return connection.send(command, timeout: RedisDestination.timeout).map { Receipt(reply: $0)?.nodes }
    }

    func close() {
        connection.close()
    }
}

@available(*, unavailable)
extension RedisDestination: Sendable {}
