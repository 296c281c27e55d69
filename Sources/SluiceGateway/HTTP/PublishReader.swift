// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// Reads one JSON object of a `POST /publish`, in as many steps as its caller likes.
///
/// Each limit is looked at while the text is read: what is too long, too many or unknown ends it at the first byte that
/// shows it, so that a body that is refused costs no more than one that is taken. Only what will be published is kept.
package struct PublishReader {
    private enum Member: String {
        case topic, topics, client, clients, all, data, event, key, once, end, log, maxlen, ttl, replicas
        case base64 = "data_base64"

        var wanted: String {
            switch self {
            case .topic, .client, .event, .key, .once: "a string"
            case .topics, .clients: "an array of strings"
            case .all, .end, .log: "true or false"
            case .maxlen, .ttl, .replicas: "a whole number"
            case .base64: "a string in base64"
            case .data: "a string or another JSON value"
            }
        }

        /// Of a string that is no data.
        var bytesMax: Int {
            switch self {
            case .topic, .topics, .client, .clients: InvalidName.bytesMax
            default: EventLabel.bytesMax
            }
        }
    }

    private static let nameBytesMax = 40

    private let limits: PublishRequest.Limits
    private var scanner = JSONScanner()
    private var member = Member.data
    /// Where the array or object begins that is the data, while it is being read.
    private var valueStart: Int?
    private var hasData = false
    private var hasBase64 = false
    /// A string that is no data.
    private var text: [UInt8] = []
    private var topic: [Target] = []
    private var topics: [Target] = []
    private var client: [Target] = []
    private var clients: [Target] = []
    private var isForAll = false
    private var event = Event(ByteBuffer())
    private var isLogged = true
    private var retention: Publication.Retention
    private var once: String?
    private var replicas: Int?

    package init(limits: PublishRequest.Limits) {
        self.limits = limits
        retention = limits.retention
    }

    /// How far the text was read.
    package var position: Int { scanner.position }

    /// Reads on, up to an offset.
    ///
    /// - Parameter bytes: the whole text, the same at each call.
    /// - Returns: nil while there is more to read.
    /// - Throws: ``HTTPProblem`` that says what is wrong and what would be right.
    package mutating func read(
        _ bytes: UnsafeRawBufferPointer, upTo limit: Int
    ) throws(HTTPProblem) -> PublishRequest? {
        while let token = try next(bytes, upTo: limit) { try take(token, bytes) }
        if let valueStart { try checkData(scanner.position - valueStart) }
        guard limit == bytes.count else { return nil }
        do { try scanner.checkEnd() } catch { throw PublishReader.malformed(error) }
        return try request()
    }

    private mutating func next(
        _ bytes: UnsafeRawBufferPointer, upTo limit: Int
    ) throws(HTTPProblem) -> JSONScanner.Token? {
        do { return try scanner.next(bytes, upTo: limit) } catch { throw PublishReader.malformed(error) }
    }

    private static func malformed(_ error: MalformedJSON) -> HTTPProblem {
        .badRequest("the JSON is malformed: \(error)")
    }

    // MARK: Tokens

    private mutating func take(_ token: JSONScanner.Token, _ bytes: UnsafeRawBufferPointer) throws(HTTPProblem) {
        if let start = valueStart {
            try checkData(scanner.position - start)
            guard scanner.depth == 1 else { return }
            valueStart = nil
            event.data.writeBytes(bytes[start..<scanner.position])
            return
        }
        let range = scanner.tokenStart..<scanner.position
        switch token {
        case .name: try beginMember()
        case .objectBegins where scanner.depth == 1: break
        case .objectBegins, .arrayBegins: try beginValue(token)
        case .stringBegins: try beginString()
        case .text(let range): try append(bytes[range])
        case .scalar(let scalar): try append(scalar.utf8)
        case .stringEnds: try endString()
        case .number: try take(number: bytes[range])
        case .bool(let value): try take(value, bytes[range])
        case .null:
            guard member == .data else { throw wrongType }
            throw .badRequest("\"data\" is null; send a string or another JSON value")
        case .arrayEnds, .objectEnds: break
        }
    }

    private var wrongType: HTTPProblem { .badRequest("\"\(member.rawValue)\" takes \(member.wanted)") }

    private mutating func beginMember() throws(HTTPProblem) {
        let name = String(decoding: scanner.name.prefix(PublishReader.nameBytesMax), as: UTF8.self)
        guard let member = Member(rawValue: name), name.utf8.elementsEqual(scanner.name) else {
            throw .badRequest("unknown member \(JSONText.quoted(name))")
        }
        self.member = member
    }

    private mutating func beginValue(_ token: JSONScanner.Token) throws(HTTPProblem) {
        switch member {
        case .data:
            hasData = true
            valueStart = scanner.position - 1
        case .topics, .clients:
            // The array itself; there is none in it.
            guard token == .arrayBegins, scanner.depth == 2 else { throw wrongType }
        default: throw wrongType
        }
    }

    private mutating func take(_ value: Bool, _ bytes: Slice<UnsafeRawBufferPointer>) throws(HTTPProblem) {
        switch member {
        case .all:
            if value { try checkRoomForTarget() }
            isForAll = value
        case .end: event.ends = value
        case .log: isLogged = value
        case .data: try keep(bytes)
        default: throw wrongType
        }
    }

    private mutating func take(number bytes: Slice<UnsafeRawBufferPointer>) throws(HTTPProblem) {
        func integer(_ name: String, _ max: Int, _ setting: String? = nil) throws(HTTPProblem) -> Int {
            let text = String(decoding: bytes.prefix(20), as: UTF8.self)
            guard let value = Int(text), bytes.count < 20, (1...max).contains(value) else {
                let why = setting.map { " (the node's \($0))" } ?? ""
                throw .badRequest("\"\(name)\" takes a whole number from 1 to \(max)\(why)")
            }
            return value
        }
        switch member {
        case .maxlen: retention.maxlen = try integer("maxlen", limits.maxlenMax, "--max-log-events")
        case .replicas: replicas = try integer("replicas", Publication.replicasRange.upperBound)
        case .ttl: retention.ttl = try integer("ttl", limits.ttlMax, "--max-log-ttl")
        case .data: try keep(bytes)
        default: throw wrongType
        }
    }

    // MARK: Data

    /// - Parameter bytes: a value that is neither a string nor has any in it.
    private mutating func keep(_ bytes: Slice<UnsafeRawBufferPointer>) throws(HTTPProblem) {
        try checkData(bytes.count)
        hasData = true
        event.data.writeBytes(bytes)
    }

    private func checkData(_ bytes: Int) throws(HTTPProblem) {
        guard bytes <= limits.dataBytesMax else { throw .bodyTooLarge(limits.dataBytesMax) }
    }

    // MARK: Strings

    private mutating func beginString() throws(HTTPProblem) {
        switch member {
        case .data: hasData = true
        case .base64: hasBase64 = true
        case .topics, .clients: guard scanner.depth == 2 else { throw wrongType }
        case .topic, .client, .event, .key, .once: break
        case .all, .end, .log, .maxlen, .ttl, .replicas: throw wrongType
        }
        text.removeAll(keepingCapacity: true)
    }

    private mutating func append(_ bytes: some Collection<UInt8>) throws(HTTPProblem) {
        if member == .data || member == .base64 {
            try checkData(event.data.readableBytes + bytes.count)
            event.data.writeBytes(bytes)
        } else if text.count + bytes.count <= member.bytesMax {
            text.append(contentsOf: bytes)
        } else {
            let beginning = String(decoding: (text + bytes.prefix(80)).prefix(80), as: UTF8.self)
            throw .badRequest(
                "\"\(member.rawValue)\": \(JSONText.quoted(beginning)) has more than \(member.bytesMax) bytes")
        }
    }

    private mutating func endString() throws(HTTPProblem) {
        switch member {
        case .topic: topic.append(try target("topic", Target.topic))
        case .topics: topics.append(try target("topic", Target.topic))
        case .client: client.append(try target("client", Target.client))
        case .clients: clients.append(try target("client", Target.client))
        case .event: event.type = try label(EventLabel.problem(type:))
        case .key: event.key = try label(EventLabel.problem(key:))
        case .once: once = try label(EventLabel.problem(key:))
        case .base64:
            guard event.data.withUnsafeReadableBytes({ PublishReader.isBase64($0) }) else { throw wrongType }
        case .data, .all, .end, .log, .maxlen, .ttl, .replicas: break
        }
    }

    private func target(_ kind: String, _ make: (String) throws(InvalidName) -> Target) throws(HTTPProblem) -> Target {
        try checkRoomForTarget()
        let name = String(decoding: text, as: UTF8.self)
        do { return try make(name) } catch {
            throw .badRequest("the \(kind) \(JSONText.quoted(name.prefix(80))) \(error)")
        }
    }

    /// "all" is a target like the others: it is one more channel to publish on.
    private func checkRoomForTarget() throws(HTTPProblem) {
        guard topic.count + topics.count + client.count + clients.count + (isForAll ? 1 : 0) < limits.targetsMax else {
            throw .badRequest("more than \(limits.targetsMax) targets (the node's --max-targets)")
        }
    }

    private func label(_ problem: (String) -> String?) throws(HTTPProblem) -> String {
        let label = String(decoding: text, as: UTF8.self)
        if let problem = problem(label) { throw .badRequest("\"\(member.rawValue)\" \(problem)") }
        return label
    }

    /// RFC 4648 §4, with padding.
    private static func isBase64(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count.isMultiple(of: 4) else { return false }
        let padding = bytes.suffix(2).filter { $0 == UInt8(ascii: "=") }.count
        return bytes.dropLast(padding).allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
                true
            default: false
            }
        }
    }

    // MARK: The end

    private func request() throws(HTTPProblem) -> PublishRequest {
        var seen: Set<Target> = []
        let targets = (topic + topics + client + clients + (isForAll ? [.all] : [])).filter { seen.insert($0).inserted }
        guard !targets.isEmpty else {
            throw .badRequest("name a target: \"topic\", \"topics\", \"client\", \"clients\" or \"all\": true")
        }
        guard hasData != hasBase64 else {
            throw .badRequest("exactly one of \"data\" and \"data_base64\" is needed")
        }
        if event.ends, !isLogged { throw .badRequest("\"end\" needs the log") }
        if replicas != nil, !isLogged { throw .badRequest("\"replicas\" needs the log") }
        return PublishRequest(
            targets: targets, event: event, retention: isLogged ? retention : nil, once: once, replicas: replicas)
    }
}
