// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// Turns lines into events and publishes them in order as they come, each once.
///
/// There is no queue: while a batch is under way nothing is read, so a fast writer waits in its pipe, and what has
/// gathered there meanwhile is the next batch.
package struct LinePublisher {
    /// Events under way at a time.
    private static let batchMax = 256
    /// The longest line that is taken. What a logged event may have is for Redis to say.
    private static let lineBytesMax = 32 << 20

    private let route: any PublishRoute
    private let template: Publication
    private let dataBytesMax: Int
    private let report: (Publisher.Receipt) throws -> Void
    private let note: (String) -> Void
    private let progress: PublishProgress

    private var patience: PublishPatience
    /// If the last line closes the topic: which one that is, is known when the input ends.
    private var held: ByteBuffer?
    /// Lines that were given to the route.
    private var count = 0
    /// What the reader of standard error was told last of why it takes long.
    private var lastNote = ""

    /// - Parameters:
    ///   - template: what all lines have in common. Its end mark is the last line's; its token is the beginning of each line's
    ///     (nil: none, and no line is tried again whose answer was lost).
    ///   - report: takes the receipts, in order; what it throws ends it.
    ///   - note: takes a remark for whoever wonders why it takes long.
    package init(
        _ publisher: Publisher, like template: Publication, dataBytesMax: Int = Publication.dataBytesMax,
        patience: PublishPatience, progress: PublishProgress, report: @escaping (Publisher.Receipt) throws -> Void,
        note: @escaping (String) -> Void
    ) {
        route = publisher.route
        self.template = template
        self.dataBytesMax = dataBytesMax
        self.patience = patience
        self.progress = progress
        self.report = report
        self.note = note
    }

    package static func randomToken() -> String {
        String(UInt64.random(in: 0 ... .max), radix: 36)
    }

    /// Publishes line by line what comes, until there is no more.
    ///
    /// - Parameter read: waits until there is something; empty: that was all.
    /// - Throws: ``ClientError``, which says what is published, and what `read` and `report` throw.
    package mutating func publish(from read: () async throws -> [UInt8]) async throws {
        var splitter = LineSplitter(bytesMax: LinePublisher.lineBytesMax)
        do {
            while true {
                let bytes = try await read()
                if bytes.isEmpty { break }
                try await publish(try splitter.read(bytes))
            }
            if let last = try splitter.end() { try await publish([last]) }
        } catch let error as LineSplitter.TooLong {
            throw ClientError("line \(error.line): more than \(error.bytesMax) bytes; \(progress.statement)")
        }
        try await end()
    }

    mutating func publish(_ lines: [ByteBuffer]) async throws {
        var lines = lines
        if template.event.ends {
            if let held { lines.insert(held, at: 0) }
            held = lines.popLast()
        }
        // One that is refused for its length must not be passed by those behind it.
        let fitting = lines.prefix { $0.readableBytes <= dataBytesMax }
        var rest = fitting
        while !rest.isEmpty {
            try await publish(rest.prefix(LinePublisher.batchMax).map { publication(of: $0, ends: false) })
            rest = rest.dropFirst(LinePublisher.batchMax)
        }
        if fitting.count < lines.count {
            throw stopped(by: ClientError("more than \(dataBytesMax) bytes, which an event can't have"))
        }
    }

    mutating func end() async throws {
        guard let last = held else { return }
        held = nil
        try await publish([publication(of: last, ends: true)])
    }

    private func publication(of line: ByteBuffer, ends: Bool) -> Publication {
        var publication = template
        publication.event.data = line
        publication.event.ends = ends
        return publication
    }

    private mutating func publish(_ publications: [Publication]) async throws {
        var publications = publications
        if let once = template.once {
            // A line has its own token, so that the same input again publishes nothing twice.
            for index in publications.indices { publications[index].once = "\(once)-\(count + index + 1)" }
        }
        count += publications.count
        while !publications.isEmpty {
            progress.began(publications.count)
            let results = await route.publish(publications)
            publications = try await rest(of: publications, results)
        }
    }

    /// Takes the answers to some lines and, if lines are left, waits until it is time to try them again.
    private mutating func rest(
        of publications: [Publication], _ results: [Result<Receipt, ClientError>]
    ) async throws -> [Publication] {
        let published = results.prefix { (try? $0.get()) != nil }
        let left = zip(publications, results).dropFirst(published.count)
        progress.ended(published: published.count, ahead: left.count { (try? $0.1.get()) != nil })
        for result in results { if case .success(let receipt) = result { try report(Publisher.Receipt(receipt)) } }
        if !published.isEmpty { patience.progressed() }

        var told = Duration.zero
        var reason: ClientError?
        var again: [Publication] = []
        for case (let publication, .failure(let error)) in left {
            switch error.kind {
            case .refused: throw stopped(by: error)
            case .later(let after): told = max(told, after ?? .zero)
            case .unknown where publication.once == nil: throw stopped(by: error, "it may be published, too")
            case .unknown: break
            }
            reason = reason ?? error
            again.append(publication)
        }
        guard let reason else { return [] }
        guard let pause = patience.failed(told: told == .zero ? nil : TimeAmount(told), now: .now()) else {
            throw stopped(by: reason)
        }
        tell(reason)
        try await Task.sleep(for: Duration(pause))
        return again
    }

    private func stopped(by failure: ClientError, _ remark: String? = nil) -> ClientError {
        let remark = remark.map { "; \($0)" } ?? ""
        return ClientError("line \(progress.nextLine): \(failure)\(remark); \(progress.statement)")
    }

    /// Says once why it takes long.
    private mutating func tell(_ reason: ClientError) {
        guard lastNote != "\(reason)" else { return }
        lastNote = "\(reason)"
        note("line \(progress.nextLine): \(reason); trying again")
    }
}
