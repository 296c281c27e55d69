// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1
import SluiceGateway

extension FuzzTarget {
    /// Whatever a client sends along, the address that the trusted proxy has added is the one that counts.
    static func forwarded(_ input: FuzzInput) {
        let text = input.text
        guard let trusted = try? [NetworkRange("10.0.0.0/8"), NetworkRange("fd00::/8")],
            let proxy = NetworkAddress("10.0.0.1"), let client = NetworkAddress("2001:db8::9")
        else { fatalError("an address is not taken") }
        let walk = ForwardedFor(trusted: trusted)
        precondition(walk.client(peer: client, headers: ["x-forwarded-for": text, "forwarded": text]) == client)
        for name in ["x-forwarded-for", "forwarded"] {
            check(walk.client(peer: proxy, headers: [name: text]))
            let isForwarded = name == "forwarded"
            let added = isForwarded ? "for=\"[2001:db8::9]:80\";proto=https" : "2001:db8::9"
            let behind = isForwarded ? "for=10.2.3.4" : "10.2.3.4"
            precondition(walk.client(peer: proxy, headers: [name: "\(text), \(added)"]) == client)
            precondition(walk.client(peer: proxy, headers: [name: "\(text), \(added), \(behind)"]) == client)
            precondition(walk.client(peer: proxy, headers: HTTPHeaders([(name, text), (name, added)])) == client)
        }
        if let address = NetworkAddress(node: text) { check(address) }
        if let range = try? NetworkRange(text) {
            let again = try? NetworkRange(range.description)
            precondition(again == range)
        }
    }
}
