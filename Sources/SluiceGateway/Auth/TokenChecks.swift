// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import Synchronization

/// Has tokens checked beside the event loops, some at a time, in the order that ``CheckQueue`` says.
///
/// What can be refused without a look at the signature never gets into the queue. A token that names an unknown key waits for
/// the key's look-up without keeping others from being checked.
package final class TokenChecks: Sendable {
    package typealias Queue = CheckQueue<Check>

    package struct Check: Sendable {
        let token: String
        let promise: EventLoopPromise<Grant>
        /// Whether all keys of now are known; nil: nobody has looked for the token's key yet.
        var isLookUpSettled: Bool?
    }

    package enum Outcome {
        case refused(TokenRefusal)
        /// The future fails with ``TokenRefusal``, or with a `CancellationError` after ``abandon(_:)``.
        case pending(Queue.Ticket, EventLoopFuture<Grant>)
    }

    /// A longer token is not even read on the caller's loop: its JSON may be made to take long.
    private static let readAtOnceBytes = 2 << 10

    private let verifier: TokenVerifier
    private let counters: Counters
    private let queue: Mutex<Queue>

    package init(_ verifier: TokenVerifier, limits: Queue.Limits, counters: Counters) {
        self.verifier = verifier
        self.counters = counters
        queue = Mutex(Queue(limits: limits))
    }

    /// Tokens that wait for their result.
    package var count: Int { queue.withLock { $0.count } }

    /// Begins to check a token.
    package func check(_ token: String, of asker: Queue.Asker, on eventLoop: any EventLoop) -> Outcome {
        var needsKey = false
        if token.utf8.count <= TokenChecks.readAtOnceBytes {
            do throws(TokenRefusal) { _ = try verifier.examine(token) } catch {
                guard error == .keyUnknown else { return .refused(error) }
                needsKey = true
            }
        }
        let promise = eventLoop.makePromise(of: Grant.self)
        let check = Check(token: token, promise: promise)
        switch queue.withLock({ $0.admit(check, of: asker) }) {
        case .refused:
            promise.fail(TokenRefusal.busy)
            counters.tokenChecksShed.add(1)
            return .refused(.busy)
        case .admitted(let ticket, let evicted):
            if let evicted {
                counters.tokenChecksShed.add(1)
                TokenChecks.fail(evicted, with: TokenRefusal.busy)
            }
            if needsKey { lookUp(for: ticket, token) } else { line(up: ticket) }
            return .pending(ticket, promise.futureResult)
        }
    }

    /// Whoever asked is gone.
    package func abandon(_ ticket: Queue.Ticket) {
        guard let check = queue.withLock({ $0.remove(ticket) }) else { return }
        TokenChecks.fail(check, with: CancellationError())
    }

    /// In a turn of its own: this may be another connection's call.
    private static func fail(_ check: Check, with error: any Error) {
        check.promise.futureResult.eventLoop.execute { check.promise.fail(error) }
    }

    // MARK: Work

    private func line(up ticket: Queue.Ticket, isLookUpSettled: Bool? = nil) {
        let next = queue.withLock { queue in
            queue.wait(ticket) { $0.isLookUpSettled = isLookUpSettled }
            return queue.begin()
        }
        guard let next else { return }
        Task { work(from: next) }
    }

    /// One of the workers, until nothing waits.
    private func work(from first: (ticket: Queue.Ticket, check: Check)) {
        var next: (ticket: Queue.Ticket, check: Check)? = first
        while let (ticket, check) = next {
            counters.tokensChecked.add(1)
            do throws(TokenRefusal) {
                let grant = try verifier.verify(check.token)
                queue.withLock { $0.end(ticket) }?.promise.succeed(grant)
            } catch {
                if error == .keyUnknown, check.isLookUpSettled == nil {
                    if queue.withLock({ $0.park(ticket) }) { lookUp(for: ticket, check.token) }
                } else {
                    let refusal = TokenChecks.refusal(error, check.isLookUpSettled)
                    queue.withLock { $0.end(ticket) }?.promise.fail(refusal)
                }
            }
            next = queue.withLock { $0.begin() }
        }
    }

    private func lookUp(for ticket: Queue.Ticket, _ token: String) {
        Task {
            let isSettled = await verifier.lookUpKeys()
            do throws(TokenRefusal) {
                _ = try verifier.examine(token)
                line(up: ticket, isLookUpSettled: isSettled)
            } catch {
                let refusal = TokenChecks.refusal(error, isSettled)
                queue.withLock { $0.remove(ticket) }?.promise.fail(refusal)
            }
        }
    }

    /// An unknown key is nobody's if all keys of now are known. Else nothing can be said of the token yet.
    private static func refusal(_ refusal: TokenRefusal, _ isLookUpSettled: Bool?) -> TokenRefusal {
        refusal == .keyUnknown && isLookUpSettled == true ? .notValidHere : refusal
    }
}
