// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// Turns lines into events and publishes them in order as they come, each once.
///
/// There is no queue: while a batch is under way nothing is read, so a fast writer waits in its pipe, and what has
/// gathered there meanwhile is the next batch.
struct LinePublisher {
    /// Events under way at a time.
    private static let batchMax = 256

    private let route: any PublishRoute
    private let template: Publication
    private let dataBytesMax: Int
    private let report: (Receipt) throws -> Void
    private let progress: PublishProgress

    private var patience: PublishPatience
    /// If the last line closes the topic: which one that is, is known when the input ends.
    private var held: ByteBuffer?
    /// Lines that were given to the route.
    private var count = 0
    /// What the reader of standard error was told last of why it takes long.
    private var lastNote = ""

    /// - Parameter template: what all lines have in common. Its end mark is the last line's; its token is the beginning of each
    ///   line's (nil: none, and no line is tried again whose answer was lost).
    init(
        route: any PublishRoute, template: Publication, dataBytesMax: Int = Publication.dataBytesMax,
        patience: PublishPatience, progress: PublishProgress, report: @escaping (Receipt) throws -> Void
    ) {
        self.route = route
        self.template = template
        self.dataBytesMax = dataBytesMax
        self.patience = patience
        self.progress = progress
        self.report = report
    }

    static func randomToken() -> String {
        String(UInt64.random(in: 0 ... .max), radix: 36)
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
            throw stopped(by: Failure("more than \(dataBytesMax) bytes, which an event can't have"))
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
        of publications: [Publication], _ results: [PublishResult]
    ) async throws -> [Publication] {
        let published = results.prefix { $0.isPublished }
        let left = zip(publications, results).dropFirst(published.count)
        progress.ended(published: published.count, ahead: left.filter { $0.1.isPublished }.count)
        for result in results { if case .published(let receipt) = result { try report(receipt) } }
        if !published.isEmpty { patience.progressed() }

        var told: TimeAmount?
        var reason: Failure?
        for (publication, result) in left {
            switch result {
            case .published: break
            case .refused(let failure): throw stopped(by: failure)
            case .later(let failure, let after):
                reason = reason ?? failure
                told = max(told ?? .zero, after ?? .zero)
            case .unknown(let failure):
                guard publication.once != nil else { throw stopped(by: failure, "it may be published, too") }
                reason = reason ?? failure
            }
        }
        guard let reason else { return [] }
        guard let pause = patience.failed(told: told == .zero ? nil : told, now: .now()) else {
            throw stopped(by: reason)
        }
        note(reason)
        try await Task.sleep(nanoseconds: UInt64(pause.nanoseconds))
        return left.filter { !$0.1.isPublished }.map(\.0)
    }

    private func stopped(by failure: Failure, _ remark: String? = nil) -> Failure {
        let remark = remark.map { "; \($0)" } ?? ""
        return Failure("line \(progress.nextLine): \(failure)\(remark); \(progress.statement)")
    }

    /// Says once why it takes long.
    private mutating func note(_ reason: Failure) {
        guard lastNote != "\(reason)" else { return }
        lastNote = "\(reason)"
        StandardStream.note("line \(progress.nextLine): \(reason); trying again")
    }
}
