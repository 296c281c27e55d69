// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1
import SluiceGateway

extension FuzzTarget {
    /// Names of hosts and origins are taken in one form, which stands for itself.
    ///
    /// A line for a request's target, then the value of `Host`.
    static func host(_ input: FuzzInput) {
        var input = input
        let uri = String(decoding: input.line(), as: UTF8.self)
        let text = input.text
        if let authority = Authority(text) {
            precondition(Authority(authority.host + (authority.port.map { ":\($0)" } ?? "")) == authority)
            precondition(authority.host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F })
        }
        if let authority = try? Authority.of(uri: uri, headers: ["host": text], version: .http1_1) {
            precondition(authority == Authority(text))
            precondition(HostPolicy(hosts: []).permits(authority))
        }
        if let origin = Origin(text) {
            precondition(
                origin.isHost(
                    Authority(origin.authority.host + (origin.port.map { ":\($0)" } ?? "")) ?? origin.authority))
            precondition(OriginPattern(text).map { $0.names(origin) } == true)
        }
    }
}
