// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOHPACK
import SluiceWeb

/// Where streams are, and how a stream's request looks there.
package struct Server: Sendable {
    private static let headers = [
        ("Accept", "text/event-stream"), ("Cache-Control", "no-cache"), ("User-Agent", "sluice-bench"),
    ]

    let dialer: WebDialer
    /// Looked up once, not for each stream.
    let address: SocketAddress
    private let target: Template
    private let extra: [HeaderField]

    /// - Parameter isLocal: it has to be on 127.0.0.0/8.
    /// - Throws: ``CannotRun``, or ``WebDialer/BadCertificates``.
    package init(
        _ address: WebAddress, headers: [HeaderField], certificateAuthority: String?, verifiesServer: Bool,
        usesHTTP2: Bool, isLocal: Bool
    ) throws {
        do { self.address = try SocketAddress.makeAddressResolvingHost(address.host, port: address.port) } catch {
            throw CannotRun(description: "\(address): \(NetworkError.reason(error))")
        }
        if isLocal, self.address.ipAddress?.hasPrefix("127.") != true {
            throw CannotRun(
                description: "--source-addresses is for servers on 127.0.0.0/8, and \(address.host) is not")
        }
        dialer = try WebDialer(
            address, certificateAuthority: certificateAuthority, verifiesServer: verifiesServer,
            protocols: [usesHTTP2 ? "h2" : "http/1.1"])
        target = Template(address.target)
        extra = headers
    }

    /// A stream's request as it goes out on HTTP/1.1.
    func text(_ stream: Subscriber) -> String {
        var text = "GET \(target.text(stream: stream.number, topic: stream.topic)) HTTP/1.1\r\n"
        text += "Host: \(dialer.address.hostHeader)\r\n"
        for (name, value) in Server.headers { text += "\(name): \(value)\r\n" }
        for header in extra { text += "\(header.name): \(header.value)\r\n" }
        return text + "\r\n"
    }

    /// The same for HTTP/2, whose names are lower case (RFC 9113 §8.2.1).
    func fields(_ stream: Subscriber) -> HPACKHeaders {
        var fields: HPACKHeaders = [
            ":method": "GET", ":scheme": dialer.address.usesTLS ? "https" : "http",
            ":authority": dialer.address.hostHeader,
            ":path": target.text(stream: stream.number, topic: stream.topic),
        ]
        for (name, value) in Server.headers { fields.add(name: name.lowercased(), value: value) }
        for header in extra { fields.add(name: header.name.lowercased(), value: header.value) }
        return fields
    }
}
