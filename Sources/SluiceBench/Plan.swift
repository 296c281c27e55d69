// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// What a bench is to do, checked.
package struct Plan: Sendable {
    package var servers: [Server]
    package var streams = 1000
    /// nil: HTTP/1.1, and a connection for each.
    package var streamsPerConnection: Int?
    package var topics = 1
    package var destination: Destination
    package var messages = 100
    /// Messages a second; 0: as fast as possible.
    package var rate = 10.0
    /// Bytes of a payload.
    package var size = 128
    package var inFlight = 256
    /// How many streams may be opening at a time.
    package var connectWindow = 256
    /// 1: the system's choice; else that many of 127.0.0.2, 127.0.0.3, …
    package var sourceAddresses = 1
    package var threads = 1
    package var settle = TimeAmount.milliseconds(500)
    package var hold = TimeAmount.zero
    package var linger = TimeAmount.seconds(5)
    /// The server's processes on this machine.
    package var probe: ProcessProbe?

    package init(servers: [Server], destination: Destination) {
        self.servers = servers
        self.destination = destination
    }
}
