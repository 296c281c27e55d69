// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// The publisher, as seen from other threads.
struct BenchPublisherHandle: Sendable {
    private let topics: Int
    private let publisher: EventLoopFuture<NIOLoopBound<BenchPublisher>>

    /// The pace counts from the first call of `run`.
    init(
        _ plan: BenchPlan, marker: BenchMarker, destination: NIOLoopBound<any BenchDestination>,
        on eventLoop: any EventLoop
    ) {
        topics = plan.topics
        publisher = eventLoop.submit {
            let publisher = BenchPublisher(plan, marker: marker, destination: destination.value, on: eventLoop)
            return NIOLoopBound(publisher, eventLoop: eventLoop)
        }
    }

    func run() async {
        try? await publisher.map { $0.value.run() }.get()
    }

    func stop() async {
        try? await publisher.map { $0.value.stop() }.get()
    }

    func reading() async -> BenchPublisher.Reading {
        (try? await publisher.map { $0.value.reading }.get())
            ?? BenchPublisher.Reading(
                published: [Int](repeating: 0, count: topics))
    }
}
