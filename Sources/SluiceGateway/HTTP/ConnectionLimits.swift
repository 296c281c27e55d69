// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// How long a connection may keep the node waiting, and what it may send before a request is read.
package struct ConnectionLimits: Sendable {
    let tlsTimeout: TimeAmount
    let headTimeout: TimeAmount
    let idleTimeout: TimeAmount
    let drain: TimeAmount
    let headerListBytesMax: Int
    let headerCountMax: Int
    let http2StreamsMax: Int
    /// In milliseconds. A client that reads nothing acknowledges all the same, but the kernel gives it up after this
    /// time, too (tcp(7)); that it is slow is for the stall check to say.
    let userTimeout: Int

    package init(_ settings: Settings) {
        tlsTimeout = settings.tlsTimeout
        headTimeout = settings.headTimeout
        idleTimeout = settings.idleTimeout
        drain = settings.drain
        headerListBytesMax = settings.headerListBytesMax
        headerCountMax = settings.headerCountMax
        http2StreamsMax = settings.http2StreamsMax
        userTimeout = Int(
            clamping: max(settings.userTimeout, settings.stall + .seconds(5)).nanoseconds / 1_000_000)
    }
}
