// SPDX-License-Identifier: Apache-2.0
import NIOHPACK
import SluiceGateway

/// The request of one stream of the bench.
struct BenchRequest {
    private static let headers = [
        ("Accept", "text/event-stream"), ("Cache-Control", "no-cache"), ("User-Agent", "sluice-bench"),
    ]

    private let scheme: String
    private let authority: String
    private let target: String
    private let extra: [HeaderArgument]

    init(_ stream: BenchStream, to server: BenchPlan.Server, headers: [HeaderArgument]) {
        let address = server.dialer.address
        scheme = address.usesTLS ? "https" : "http"
        authority = address.hostHeader
        target = server.target.text(stream: stream.number, topic: stream.topic)
        extra = headers
    }

    /// As it goes out on HTTP/1.1.
    var text: String {
        var text = "GET \(target) HTTP/1.1\r\nHost: \(authority)\r\n"
        for (name, value) in BenchRequest.headers { text += "\(name): \(value)\r\n" }
        for header in extra { text += "\(header.name): \(header.value)\r\n" }
        return text + "\r\n"
    }

    /// The same for HTTP/2, whose names are lower case (RFC 9113 §8.2.1).
    var fields: HPACKHeaders {
        var fields: HPACKHeaders = [
            ":method": "GET", ":scheme": scheme, ":authority": authority, ":path": target,
        ]
        for (name, value) in BenchRequest.headers { fields.add(name: name.lowercased(), value: value) }
        for header in extra { fields.add(name: header.name.lowercased(), value: header.value) }
        return fields
    }
}
