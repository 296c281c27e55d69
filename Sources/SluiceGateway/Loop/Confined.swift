// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// A reference to something that lives on one event loop, which others may hold and send work to.
package struct Confined<Value>: Sendable {
    package let eventLoop: any EventLoop
    private let bound: NIOLoopBound<Value>

    /// To be called on the loop.
    package init(_ value: Value, on eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        self.bound = NIOLoopBound(value, eventLoop: eventLoop)
    }

    /// Runs later, in order with everything else that is sent from here, also if the caller is on the loop:
    /// whoever calls is never called back while it is still at work.
    package func run(_ body: @escaping @Sendable (Value) -> Void) {
        eventLoop.execute { [bound] in body(bound.value) }
    }

    /// The value itself; only on its loop.
    package var value: Value { bound.value }
}
