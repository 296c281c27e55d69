// SPDX-License-Identifier: Apache-2.0

/// What can be fuzzed, each in a file of its own. `scripts/fuzz` takes the names.
///
/// A target does not only look for crashes: it states what holds for every input, and traps where it does not.
enum FuzzTarget: String, CaseIterable {
    case control
    case cursor
    case envelope
    case forwarded
    case frame
    case host
    case http
    case parser
    case proxy
    case publish
    case query
    case resp
    case token

    /// The one that the command line names with `--target=`, which libFuzzer itself passes over.
    static let chosen: FuzzTarget = {
        let names = CommandLine.arguments.filter { $0.hasPrefix("--target=") }.map { $0.dropFirst(9) }
        guard let target = names.last.flatMap({ FuzzTarget(rawValue: String($0)) }) else {
            fatalError("name one with --target=: \(FuzzTarget.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return target
    }()

    /// Traps if something does not hold for these bytes.
    func run(_ bytes: UnsafeRawBufferPointer) {
        let input = FuzzInput(bytes)
        switch self {
        case .control: FuzzTarget.control(input)
        case .cursor: FuzzTarget.cursor(input)
        case .envelope: FuzzTarget.envelope(input)
        case .forwarded: FuzzTarget.forwarded(input)
        case .frame: FuzzTarget.frame(input)
        case .host: FuzzTarget.host(input)
        case .http: FuzzTarget.http(input)
        case .parser: FuzzTarget.parser(input)
        case .proxy: FuzzTarget.proxy(input)
        case .publish: FuzzTarget.publish(input)
        case .query: FuzzTarget.query(input)
        case .resp: FuzzTarget.resp(input)
        case .token: FuzzTarget.token(input)
        }
    }
}
