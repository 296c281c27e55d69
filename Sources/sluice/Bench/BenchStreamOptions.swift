// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import NIOCore
import SluiceGateway

/// The options of `sluice bench` that say which streams to open.
struct BenchStreamOptions: ParsableArguments {
    static let standardURL = "http://127.0.0.1:8080/events?topic=bench"
    private static let standardPerConnection = 100

    @Option(
        help: ArgumentHelp(
            "Address of the streams; several spread them. (default: \(BenchStreamOptions.standardURL))",
            valueName: "URL"))
    var url: [String] = []
    @Option(name: [.customShort("n"), .customLong("streams")], help: ArgumentHelp("How many streams.", valueName: "N"))
    var count = 1000
    @Option(
        help: ArgumentHelp("A header for the streams' requests; may be given several times.", valueName: "NAME: VALUE"))
    var header: [HeaderArgument] = []
    @Flag(name: .customLong("http2"), help: "HTTP/2: chosen in TLS (ALPN), and known before in plaintext.")
    var usesHTTP2 = false
    @Option(
        help: ArgumentHelp(
            "With --http2: how many streams share a connection; servers allow 100 or more. (default: \(BenchStreamOptions.standardPerConnection))",
            valueName: "N"))
    var streamsPerConnection: Int?
    @Option(help: ArgumentHelp("How many streams may be opening at a time.", valueName: "N"))
    var connectWindow = 256
    @Option(
        help: ArgumentHelp(
            "Connect from that many addresses, 127.0.0.2 and up: one has ports for 28,000 streams.", valueName: "K"))
    var sourceAddresses = 1
    @Option(help: ArgumentHelp("Event loops for reading.", valueName: "N"))
    var threads = 1
    @Option(help: ArgumentHelp("Pause after the last stream was opened; then memory is read.", valueName: "D"))
    var settle = DurationArgument(milliseconds: 500)
    @Option(help: ArgumentHelp("Then hold the idle streams for so long.", valueName: "D"))
    var hold = DurationArgument(seconds: 0)
    @Option(help: ArgumentHelp("Certificates (PEM) to trust for https:// and rediss://.", valueName: "FILE"))
    var ca: String?
    @Flag(help: "Trust any certificate of an https:// server.")
    var insecure = false

    func validate() throws {
        guard (1...1_000_000).contains(count) else { throw ValidationError("--streams takes 1 to 1000000") }
        guard (1...100_000).contains(connectWindow) else { throw ValidationError("--connect-window takes 1 to 100000") }
        if let number = streamsPerConnection {
            guard usesHTTP2 else { throw ValidationError("--streams-per-connection is for --http2") }
            guard (1...100_000).contains(number) else {
                throw ValidationError("--streams-per-connection takes 1 to 100000")
            }
        }
        guard (1...250).contains(sourceAddresses) else { throw ValidationError("--source-addresses takes 1 to 250") }
        guard (1...64).contains(threads), threads <= count else { throw ValidationError("--threads takes 1 to 64") }
        _ = try addresses()
    }

    private func addresses() throws -> [WebAddress] {
        try (url.isEmpty ? [BenchStreamOptions.standardURL] : url).map { text in
            guard let address = WebAddress(text) else {
                throw ValidationError("--url: \"\(text)\" is no http:// address")
            }
            return address
        }
    }

    /// nil: HTTP/1.1.
    var perConnection: Int? {
        usesHTTP2 ? streamsPerConnection ?? BenchStreamOptions.standardPerConnection : nil
    }

    /// Looks the servers up once, not for each stream.
    func servers() async throws -> [BenchPlan.Server] {
        try addresses().map { address in
            let socketAddress: SocketAddress
            do { socketAddress = try SocketAddress.makeAddressResolvingHost(address.host, port: address.port) } catch {
                throw Failure("\(address)", error)
            }
            if sourceAddresses > 1, socketAddress.ipAddress?.hasPrefix("127.") != true {
                throw Failure("--source-addresses is for servers on 127.0.0.0/8, and \(address.host) is not")
            }
            return BenchPlan.Server(
                dialer: try WebDialer(
                    address, certificateAuthority: ca, verifiesServer: !insecure,
                    protocols: usesHTTP2 ? ["h2"] : ["http/1.1"]),
                address: socketAddress,
                target: BenchTemplate(address.target))
        }
    }
}
