// SPDX-License-Identifier: Apache-2.0

extension FuzzTarget {
    /// Whatever a connection brings, HTTP/1 or HTTP/2, the node answers with HTTP or not at all; and where the network
    /// splits the bytes decides neither what is a request nor what is the answer.
    static func http(_ input: FuzzInput) {
        var input = input
        let seed = input.byte()
        let whole = FuzzNode().statuses(of: [input.bytes])
        // Half of the inputs leave it at that: a node for each way is most of what an execution costs.
        guard !seed.isMultiple(of: 2) else { return }
        let split = FuzzNode().statuses(of: input.pieces(seed: seed))
        precondition(split == whole, "\(split) in pieces, \(whole) at once")
    }
}
