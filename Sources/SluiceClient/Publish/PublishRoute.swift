// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// A way to publish: through Redis, or through a node's HTTP.
protocol PublishRoute: Sendable {
    /// Connects now instead of with the first event, so that what can't work is known early.
    func connect() async throws(ClientError)
    /// Publishes in order, all at once on the wire, and tells of each what became of it.
    func publish(_ publications: [Publication]) async -> [Result<Receipt, ClientError>]
    func close() async
}
