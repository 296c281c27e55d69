// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// Turns lines into events and publishes them in order as they come.
///
/// There is no queue: while a batch is under way nothing is read, so a fast writer waits in its pipe, and what has
/// gathered there meanwhile is the next batch.
struct LinePublisher {
    /// Events under way at a time.
    private static let batchMax = 256

    private let route: any PublishRoute
    private let onceToken: String?
    /// The last line closes the topic. Which one is the last is known when the input ends, so one line is held back.
    private let endsWithLastLine: Bool
    private let report: (Receipt) throws -> Void

    private var held: ByteBuffer?
    private var count = 0

    init(
        route: any PublishRoute, onceToken: String?, endsWithLastLine: Bool, report: @escaping (Receipt) throws -> Void
    ) {
        self.route = route
        self.onceToken = onceToken
        self.endsWithLastLine = endsWithLastLine
        self.report = report
    }

    mutating func publish(_ lines: [ByteBuffer]) async throws {
        var lines = lines
        if endsWithLastLine {
            if let held { lines.insert(held, at: 0) }
            held = lines.popLast()
        }
        var rest = lines[...]
        while !rest.isEmpty {
            try await publish(rest.prefix(LinePublisher.batchMax).map { OutgoingEvent(data: $0) })
            rest = rest.dropFirst(LinePublisher.batchMax)
        }
    }

    mutating func end() async throws {
        guard let last = held else { return }
        held = nil
        try await publish([OutgoingEvent(data: last, ends: true)])
    }

    private mutating func publish(_ events: [OutgoingEvent]) async throws {
        var events = events
        if let onceToken {
            // A line has its own token, so that the same input again publishes nothing twice.
            for index in events.indices { events[index].once = "\(onceToken)-\(count + index + 1)" }
        }
        var failure: Failure?
        for (index, result) in await route.publish(events).enumerated() {
            switch result {
            case .success(let receipt): try report(receipt)
            case .failure(let error):
                failure = failure ?? Failure("line \(count + index + 1): \(error)")
            }
        }
        if let failure { throw failure }
        count += events.count
    }
}
