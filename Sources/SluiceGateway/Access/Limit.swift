// SPDX-License-Identifier: Apache-2.0
/// A limit that turns connections or streams away, named as its setting.
package enum Limit: String, Sendable {
    case connections = "--max-connections"
    case connectionRate = "--connection-rate"
    case openRate = "--open-rate"
    case topicRate = "--topic-rate"
    case newTopicRate = "--new-topic-rate"
    case streams = "--max-streams"
    case streamsPerAddress = "--max-streams-per-address"
    case streamsPerClient = "--max-streams-per-client"
}
