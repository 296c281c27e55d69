// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import SluiceBench
import SluiceWeb

/// The options of `sluice bench` that say which streams to open.
struct BenchStreamOptions: ParsableArguments {
    static let standardURL = "http://127.0.0.1:8080/events?topic=bench"
    private static let standardPerConnection = 100

    @Option(
        help: .of("URL", "Address of the streams; several spread them. (default: \(BenchStreamOptions.standardURL))"))
    var url: [String] = []
    @Option(name: [.customShort("n"), .customLong("streams")], help: .of("N", "How many streams.")) var count = 1000
    @Option(help: .of("NAME: VALUE", "A header for the streams' requests; may be given several times."))
    var header: [HeaderField] = []
    @Flag(name: .customLong("http2"), help: "HTTP/2: chosen in TLS (ALPN), and known before in plaintext.")
    var usesHTTP2 = false
    @Option(
        help: .of(
            "N",
            "With --http2: how many streams share a connection; servers allow 100 or more. (default: \(BenchStreamOptions.standardPerConnection))"
        ))
    var streamsPerConnection: Int?
    @Option(help: .of("N", "How many streams may be opening at a time.")) var connectWindow = 256
    @Option(help: .of("K", "Connect from that many addresses, 127.0.0.2 and up: one has ports for 28,000 streams."))
    var sourceAddresses = 1
    @Option(help: .of("N", "Event loops for reading.")) var threads = 1
    @Option(help: .of("D", "Pause after the last stream was opened; then memory is read."))
    var settle = DurationArgument(milliseconds: 500)
    @Option(help: .of("D", "Then hold the idle streams for so long.")) var hold = DurationArgument(seconds: 0)
    @Option(help: .of("FILE", "Certificates (PEM) to trust for https:// and rediss://.")) var ca: String?
    @Flag(help: "Trust any certificate of an https:// server.") var insecure = false

    func validate() throws {
        try check("--streams", count, 1...1_000_000)
        try check("--connect-window", connectWindow, 1...100_000)
        try refuse(streamsPerConnection != nil && !usesHTTP2, "--streams-per-connection is for --http2")
        try check("--streams-per-connection", streamsPerConnection ?? 1, 1...100_000)
        try check("--source-addresses", sourceAddresses, 1...250)
        try check("--threads", threads <= count ? threads : 0, 1...64)
        _ = try addresses()
    }

    private func addresses() throws -> [WebAddress] {
        try (url.isEmpty ? [BenchStreamOptions.standardURL] : url).map { text in
            if let address = WebAddress(text) { return address }
            throw ValidationError("--url: \"\(text)\" is no http:// address")
        }
    }

    /// nil: HTTP/1.1.
    var perConnection: Int? {
        usesHTTP2 ? streamsPerConnection ?? BenchStreamOptions.standardPerConnection : nil
    }

    func servers() throws -> [Server] {
        try addresses().map {
            try Server(
                $0, headers: header, certificateAuthority: ca, verifiesServer: !insecure, usesHTTP2: usesHTTP2,
                isLocal: sourceAddresses > 1)
        }
    }
}
