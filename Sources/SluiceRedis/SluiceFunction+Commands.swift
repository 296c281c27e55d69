// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

extension SluiceFunction {
    /// Publishes an event. The reply is a ``Receipt``.
    ///
    /// An event that is live only needs no function: as any program's `PUBLISH` it also arrives where Redis is full or can't
    /// save.
    package static func publish(_ publication: Publication, names: RedisNames) -> RESPCommand {
        let channel = names.channel(publication.target)
        let event = publication.event
        if publication.retention == nil, publication.once == nil {
            var payload = ByteBuffer()
            Envelope(event, trace: publication.trace).encode(data: event.data.readableBytesView, into: &payload)
            return .publish(payload, on: channel, of: names.partitioning)
        }
        var command = publish(event.data, keys: names.keys(publication.target, once: publication.once))
        func option(_ name: String, _ value: String?) {
            guard let value else { return }
            command.append(name)
            command.append(value)
        }
        option("event", event.type)
        option("key", event.key)
        if event.ends { option("end", "1") }
        if let retention = publication.retention {
            option("maxlen", retention.maxlen.map { String($0) })
            option("ttl", retention.ttl.map { String($0) })
        } else {
            option("log", "0")
        }
        option("once", publication.once)
        option("trace", publication.trace?.description)
        return command
    }

    /// Publishes data to the log of this name, without any option. The reply is a ``Receipt``.
    package static func publish(_ data: ByteBuffer, to log: String) -> RESPCommand {
        publish(data, keys: [log])
    }

    private static func publish(_ data: ByteBuffer, keys: [String]) -> RESPCommand {
        RESPCommand(["FCALL", "sluice_publish", "\(keys.count)"] + keys, data)
    }

    /// Reads logs, each with its marker, until `bytes` of data have come together or all are read.
    package static func read(_ reads: [LogRead], bytes: Int, names: RedisNames) -> RESPCommand {
        var words = ["FCALL", "sluice_read", "\(reads.count * 2)"]
        for read in reads { words += [names.channel(read.target), names.marker(read.target)] }
        words.append("\(bytes)")
        for read in reads { words += ["\(read.after)", "\(read.bytes)"] }
        return RESPCommand(words)
    }

    /// Says what was heard last of each of these, so that what the data set has lost of it is told to all who lack it.
    package static func heard(_ report: HeardReport, partition: Partition, names: RedisNames) -> RESPCommand {
        var words = ["FCALL", "sluice_heard", "\(report.items.count * 2 + 1)", names.clock(partition)]
        for item in report.items { words += [names.channel(item.event.target), names.marker(item.event.target)] }
        words.append("\(report.since)")
        for item in report.items { words.append("\(item.since) \(item.event.id)\(item.event.ends ? " end" : "")") }
        return RESPCommand(words)
    }

    /// Raises the clock to the time and to what the node knows, and publishes its reading on the node's own channel.
    ///
    /// - Parameter entry: of the node in the registry; only the first partition has that.
    package static func tick(
        known: EventID, node id: String, _ partition: Partition, entry: NodeEntry?, names: RedisNames
    ) -> RESPCommand {
        var keys = [names.node(id, partition)]
        // In a cluster what the function touches has to be declared.
        if names.partitioning == .cluster { keys += [names.clock(partition)] + (entry == nil ? [] : [names.nodes]) }
        var words = ["FCALL", "sluice_tick", "\(keys.count)"] + keys + ["\(known)"]
        if let entry { words += zip(NodeEntry.fieldNames, entry.fieldValues).flatMap { [$0, $1] } }
        return RESPCommand(words)
    }

    /// Takes a node that ends off the registry.
    package static func leave(node id: String, names: RedisNames) -> RESPCommand {
        ["FCALL", "sluice_leave", "2", names.node(id, .first), names.nodes]
    }

    /// The server's own time in milliseconds since 1970, of the reply to a tick; nil if it is none.
    package static func serverTime(tick reply: RESPValue) -> UInt64? {
        guard let parts = reply.array, parts.count == 3, case .integer(let time) = parts[2] else { return nil }
        return UInt64(clamping: time)
    }

    /// Asks which of these channels the user may subscribe to. The reply is a list of texts.
    package static func maySubscribe(_ channels: [String]) -> RESPCommand {
        RESPCommand(["FCALL", "sluice_may_subscribe", "0"] + channels)
    }
}

extension RESPCommand {
    /// A bare `PUBLISH`: the payload arrives as it is. The reply is a ``Receipt``.
    ///
    /// In a cluster it is an `SPUBLISH`, which stays on the channel's server and its replicas.
    package static func publish(
        _ payload: ByteBuffer, on channel: String, of partitioning: Partitioning = .single
    ) -> RESPCommand {
        let word =
            switch partitioning {
            case .single: "PUBLISH"
            case .cluster: "SPUBLISH"
            }
        return RESPCommand([word, channel], payload)
    }
}
