// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// What carries events between publishers and nodes: Redis, or this process' own memory.
///
/// Lives on the hub's event loop and feeds the hub with messages in the order in which they were published.
package protocol Broker: AnyObject {
    /// `redis` or `memory`, for the ready line.
    var name: String { get }
    var partitioning: Partitioning { get }

    func start(tell: @escaping (BrokerNotice) -> Void)
    func stop()
    /// The feed of a partition is connected and yet brings nothing: begin it anew.
    func reconnect(_ partition: Partition)

    /// Begins to listen. If the result is true, what is published from now on arrives; else the hub is told once it does.
    func want(_ target: Target, as number: TargetNumber) -> Bool
    /// Nobody on this node listens any more; the broker may linger before it stops.
    func release(_ target: Target)

    /// Brings nothing of this target for so long, and tells the hub once it does again. For a target that brings too much.
    func pause(_ target: Target, for time: TimeAmount)

    /// A reading of a partition's clock, and the markers of some of its logs.
    func mark(_ partition: Partition, markersOf targets: [Target]) -> EventLoopFuture<ClockReading>
    /// Reads logs of one partition, one after the other, until `bytes` of data have come together or all are read.
    ///
    /// - Returns: an outcome for each of the first so many, at least one. Fails if the broker is away.
    func read(_ partition: Partition, _ reads: [LogRead], bytes: Int) -> EventLoopFuture<[LogRead.Outcome]>
    /// Why so many bytes can't be published now, before any of them are; nil: it can be tried.
    func refusal(of bytes: Int) -> PublishFailure?
    /// Fails with ``PublishFailure``.
    func publish(_ publication: Publication) -> EventLoopFuture<Receipt>
    /// Waits until so many replicas have what was published to this partition, but not for long.
    ///
    /// - Returns: how many are known to have it; never fails.
    func replicas(_ partition: Partition, wanted: Int) -> EventLoopFuture<Int>
    /// Sends a message to every node, this one included.
    ///
    /// - Returns: how many nodes it has reached. Fails with ``PublishFailure``.
    func order(_ message: ControlMessage) -> EventLoopFuture<Int>
    /// Answers a question of another node.
    func answer(_ answer: SurveyAnswer, to node: String)
    /// The nodes that are in the registry now. Fails with ``PublishFailure``.
    func nodes() -> EventLoopFuture<[String]>
    /// What the registry says of a node; nil: it is not there. Fails with ``PublishFailure``.
    func entry(of node: String) -> EventLoopFuture<NodeEntry?>
    /// Takes this node off the registry.
    func leave() -> EventLoopFuture<Void>
    /// Says or asks something about who is there. Fails if that may not have been carried out.
    func presence(_ call: PresenceCall) -> EventLoopFuture<PresenceReply>
    /// Tells what this node has heard, for the case that the broker has lost it.
    func report(_ partition: Partition, _ report: HeardReport) -> EventLoopFuture<Void>
    /// Sends a reading of a partition's clock through its feed. Every earlier event of the partition arrives before it.
    ///
    /// - Parameters:
    ///   - known: the highest id that this node knows; the clock is raised to it.
    ///   - entry: of this node in the registry, which the tick refreshes; nil: not with this one.
    func tick(_ partition: Partition, known: EventID, entry: NodeEntry?)
}
