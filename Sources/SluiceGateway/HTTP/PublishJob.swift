// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHTTP1
import SluiceCore

/// One `POST /publish` that is being carried out, on the loop of its connection.
///
/// The loop has others to serve, so the body is read a slice at a time, with other work between; what was read is published
/// in batches, of which one is under way at a time. A line that can't be published is told so and does not stop the others,
/// with one exception: if it is for something that passes (429, 503), those behind it get the same answer. So whoever sends
/// these lines again, from the first that was refused, changes neither their number nor their order.
final class PublishJob {
    enum Form {
        /// One object.
        case object
        /// One object a line (NDJSON).
        case lines
    }

    /// Whose it is, and what it may.
    struct Publisher {
        let grant: Grant
        let head: RequestHead
        let publishing: Publishing
        let eventLoop: any EventLoop

        /// Where what is published belongs in a trace (W3C Trace Context); a header that is malformed, or comes twice, is as none.
        var trace: TraceParent? {
            let values = head.message.headers["traceparent"]
            return values.count == 1 ? TraceParent(values[0]) : nil
        }

        /// Whether a request may be published now; then it has been counted.
        func admit(_ request: PublishRequest) throws(HTTPProblem) {
            for target in request.targets where !grant.mayPublish(to: target) {
                throw head.refused("the token does not publish to \(JSONText.quoted("\(target)".prefix(80)))")
            }
            let bytesMax = publishing.limits.bytesMax
            guard request.dataBytes * request.targets.count <= bytesMax else {
                throw HTTPProblem(
                    status: .payloadTooLarge, code: "payload_too_large",
                    message: "\(request.dataBytes) bytes for each of \(request.targets.count) targets: "
                        + "at most \(bytesMax) bytes may be published at once; name fewer targets")
            }
            try admit(events: request.targets.count, bytes: request.bytes - request.dataBytes)
        }

        func admit(events: Int, bytes: Int) throws(HTTPProblem) {
            try publishing.admit(events: events, bytes: bytes, by: grant, from: head.address, now: eventLoop.now)
        }
    }

    private enum Line {
        case request(PublishRequest)
        /// What it is told is made when it is refused, so that it is work of that turn: ten thousand at once would be many
        /// milliseconds.
        case refused(Refusal)
    }

    private struct Refusal {
        let problem: HTTPProblem
        let text: String

        init(_ problem: HTTPProblem) {
            self.problem = problem
            text = problem.body
        }
    }

    /// What is read before the loop's sockets have their turn, in bytes.
    private static let sliceBytes = 64 << 10
    /// What a line, and each event of it, costs beside its bytes.
    private static let lineBytes = 128
    /// A task for the loop's next turn (`execute`) would be run before it looks at its sockets again, and one that always adds
    /// another would keep it from them. So the next slice is due a little later.
    private static let pause = TimeAmount.microseconds(100)
    /// What is read and kept before it is published; the hub sends it on in smaller steps.
    private static let batchEventsMax = 64
    private static let batchBytesMax = 1 << 20

    private let publisher: Publisher
    private let trace: TraceParent?
    private let body: ByteBuffer
    private let form: Form
    private let eventLoop: any EventLoop
    private let promise: EventLoopPromise<Answer>
    /// How much may still be read before the next pause.
    private var budget = PublishJob.sliceBytes
    private var cutter = LineCutter()
    /// The line that is being read.
    private var current: (range: Range<Int>, reader: PublishReader)?
    private var batch: [Line] = []
    private var batchEvents = 0
    private var batchBytes = 0
    private var output = ByteBuffer()
    /// What lines are told from now on.
    private var halt: Refusal?
    private var retryAfter: String?

    /// - Throws: ``HTTPProblem`` if the body is more than its publisher may send now.
    static func run(
        _ body: ByteBuffer, _ form: Form, of publisher: Publisher, on eventLoop: any EventLoop
    ) throws(HTTPProblem) -> EventLoopFuture<Answer> {
        // Before it is read: also a body that is refused in the end has been work.
        try publisher.admit(events: 0, bytes: body.readableBytes)
        let job = PublishJob(body, form, of: publisher, on: eventLoop)
        switch form {
        case .object:
            job.current = (0..<body.readableBytes, PublishReader(limits: publisher.publishing.limits))
            job.step()
        case .lines: job.count(LineCutter(), lines: 0)
        }
        return job.promise.futureResult
    }

    private init(_ body: ByteBuffer, _ form: Form, of publisher: Publisher, on eventLoop: any EventLoop) {
        self.body = body
        self.form = form
        self.publisher = publisher
        trace = publisher.trace
        self.eventLoop = eventLoop
        promise = eventLoop.makePromise()
    }

    /// Goes on when the loop has looked at its sockets.
    private func later(_ work: @escaping () -> Void) {
        eventLoop.assumeIsolated().scheduleTask(in: PublishJob.pause) { [self] in
            budget = PublishJob.sliceBytes
            work()
        }
    }

    // MARK: Reading

    /// Too many lines are refused before the first is published.
    private func count(_ cutter: LineCutter, lines: Int) {
        var cutter = cutter
        var lines = lines
        let linesMax = publisher.publishing.linesMax
        body.withUnsafeReadableBytes { bytes in
            while lines <= linesMax, cutter.next(bytes, budget: &budget) != nil { lines += 1 }
        }
        guard lines <= linesMax else {
            return promise.fail(
                HTTPProblem(
                    status: .payloadTooLarge, code: "payload_too_large",
                    message: "more than \(linesMax) lines (the node's --max-lines)"))
        }
        if cutter.position == body.readableBytes { return step() }
        later { [self] in count(cutter, lines: lines) }
    }

    /// Reads until a batch is full, the body ends or others have to have their turn.
    private func step() {
        while budget > 0, batchEvents < PublishJob.batchEventsMax, batchBytes < PublishJob.batchBytesMax {
            if current == nil, !beginLine() {
                if cutter.position == body.readableBytes || form == .object { return publish(isLast: true) }
                break
            }
            readLine()
        }
        if budget > 0 { return publish(isLast: false) }
        later { [self] in step() }
    }

    private func beginLine() -> Bool {
        guard form == .lines,
            let range = body.withUnsafeReadableBytes({ cutter.next($0, budget: &budget) })
        else { return false }
        current = (range, PublishReader(limits: publisher.publishing.limits))
        return true
    }

    private func readLine() {
        if let halt { return refuse(halt) }
        guard let range = current?.range, var reader = current?.reader else { return }
        current = nil  // lets go of the reader, so that it is not copied
        let from = reader.position
        let limit = min(range.count, from + max(1, budget))
        do throws(HTTPProblem) {
            let request = try body.withUnsafeReadableBytes { bytes throws(HTTPProblem) in
                try reader.read(UnsafeRawBufferPointer(rebasing: bytes[range]), upTo: limit)
            }
            budget -= reader.position - from
            guard var request else {
                current = (range, reader)
                return
            }
            try publisher.admit(request)
            request.trace = trace
            batchEvents += request.targets.count
            batchBytes += request.bytes
            budget -= request.targets.count * PublishJob.lineBytes
            endLine(.request(request))
        } catch {
            if error.status == .tooManyRequests { halt(for: error) }
            refuse(Refusal(error))
        }
    }

    private func refuse(_ refusal: Refusal) {
        budget -= refusal.text.utf8.count
        endLine(.refused(refusal))
    }

    private func endLine(_ line: Line) {
        current = nil
        batch.append(line)
        budget -= PublishJob.lineBytes
    }

    private func halt(for problem: HTTPProblem) {
        halt = halt ?? Refusal(problem)
        retryAfter = retryAfter ?? problem.retryAfter
    }

    // MARK: Publishing

    private func publish(isLast: Bool) {
        let publications = batch.flatMap { line -> [Publication] in
            if case .request(let request) = line { request.publications } else { [] }
        }
        guard !publications.isEmpty else { return published([], isLast: isLast) }
        publisher.publishing.publish(publications, on: eventLoop).assumeIsolated().whenSuccess { [self] results in
            published(results, isLast: isLast)
        }
    }

    private func published(_ results: [Result<Receipt, PublishFailure>], isLast: Bool) {
        if form == .object { return answerObject(results) }
        var results = results[...]
        for line in batch {
            switch line {
            case .refused(let refusal): output.writeString(refusal.text)
            case .request(let request):
                let outcome = PublishOutcome(request, results.prefix(request.targets.count))
                results = results.dropFirst(request.targets.count)
                outcome.write(to: &output)
                if outcome.isToBeRepeated { halt(for: .unavailable("an event before this one was not published")) }
            }
            output.writeString("\n")
        }
        batch.removeAll(keepingCapacity: true)
        (batchEvents, batchBytes) = (0, 0)
        guard isLast else { return step() }
        var answer = Answer(contentType: "application/x-ndjson")
        answer.body = output
        if let retryAfter { answer.headers.append(("Retry-After", retryAfter)) }
        promise.succeed(answer)
    }

    private func answerObject(_ results: [Result<Receipt, PublishFailure>]) {
        switch batch.first {
        case .request(let request)?: promise.succeed(PublishOutcome(request, results).answer)
        case .refused(let refusal)?: promise.fail(refusal.problem)
        case nil: promise.fail(HTTPProblem.badRequest("there is nothing to publish"))
        }
    }
}
