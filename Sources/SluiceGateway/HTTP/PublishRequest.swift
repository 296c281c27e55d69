// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore

/// What one JSON object of a `POST /publish` asks for, checked: the same event for each of its targets.
package struct PublishRequest {
    package struct Limits: Sendable {
        package var dataBytesMax: Int
        /// Retention when the request names none.
        package var maxlen: Int
        package var ttl: Int
        /// Targets of one request.
        package var targetsMax = 1000

        package init(dataBytesMax: Int, maxlen: Int, ttl: Int) {
            self.dataBytesMax = dataBytesMax
            self.maxlen = maxlen
            self.ttl = ttl
        }
    }

    package private(set) var publications: [Publication] = []

    /// - Throws: ``HTTPProblem`` that says what is wrong and what would be right.
    package init(json text: String, limits: Limits) throws(HTTPProblem) {
        let members: [ExactText: JSONText.Member]
        do {
            members = try JSONText.object(text)
        } catch { throw .badRequest("the JSON is malformed: \(error)") }
        var reader = MemberReader(members: members)
        let targets = try PublishRequest.targets(&reader)
        guard !targets.isEmpty else {
            throw .badRequest("name a target: \"topic\", \"topics\", \"client\", \"clients\" or \"all\": true")
        }
        guard targets.count <= limits.targetsMax else {
            throw .badRequest("\(targets.count) targets; at most \(limits.targetsMax) are allowed")
        }
        let data = try PublishRequest.data(&reader)
        guard data.utf8.count <= min(limits.dataBytesMax, Publication.dataBytesMax) else {
            throw .bodyTooLarge(min(limits.dataBytesMax, Publication.dataBytesMax))
        }
        var publication = Publication(target: .all, data: ByteBuffer(string: data))
        publication.type = try reader.label("event", problem: EventLabel.problem(type:))
        publication.key = try reader.label("key", problem: EventLabel.problem(key:))
        publication.once = try reader.label("once", problem: EventLabel.problem(key:))
        publication.ends = try reader.bool("end") ?? false
        publication.isLogged = try reader.bool("log") ?? true
        publication.maxlen = try reader.integer("maxlen", Publication.maxlenRange) ?? limits.maxlen
        publication.ttl = try reader.integer("ttl", Publication.ttlRange) ?? limits.ttl
        if publication.ends, !publication.isLogged { throw .badRequest("\"end\" needs the log") }
        if let unknown = reader.unread { throw .badRequest("unknown member \(JSONText.quoted(unknown.prefix(40)))") }
        for target in targets {
            publication.target = target
            publications.append(publication)
        }
    }

    private static func targets(_ reader: inout MemberReader) throws(HTTPProblem) -> [Target] {
        var targets: [Target] = []
        for name in try reader.names("topic", "topics") {
            do { targets.append(try .topic(name)) } catch {
                throw .badRequest("the topic \(JSONText.quoted(name.prefix(80))) \(error)")
            }
        }
        for name in try reader.names("client", "clients") {
            do { targets.append(try .client(name)) } catch {
                throw .badRequest("the client \(JSONText.quoted(name.prefix(80))) \(error)")
            }
        }
        if try reader.bool("all") == true { targets.append(.all) }
        var seen: Set<Target> = []
        return targets.filter { seen.insert($0).inserted }
    }

    private static func data(_ reader: inout MemberReader) throws(HTTPProblem) -> String {
        let data = reader.take("data")
        let base64 = reader.take("data_base64")
        switch (data, base64) {
        case (let member?, nil):
            switch member.value {
            case .string(let text): return text
            case .null: throw .badRequest("\"data\" is null; send a string or another JSON value")
            default: return String(member.text)
            }
        case (nil, let member?):
            guard case .string(let text) = member.value, isBase64(text) else {
                throw .badRequest("\"data_base64\" takes a string in base64")
            }
            return text
        default: throw .badRequest("exactly one of \"data\" and \"data_base64\" is needed")
        }
    }

    /// RFC 4648 §4, with padding.
    private static func isBase64(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard bytes.count.isMultiple(of: 4) else { return false }
        let padding = bytes.suffix(2).filter { $0 == UInt8(ascii: "=") }.count
        let body = bytes.dropLast(padding)
        return body.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
                true
            default: false
            }
        }
    }
}

/// Reads the members of an object by name and knows which nobody asked for.
private struct MemberReader {
    private var members: [ExactText: JSONText.Member]

    init(members: [ExactText: JSONText.Member]) {
        self.members = members
    }

    var unread: String? { members.keys.map(\.text).min() }

    mutating func take(_ name: String) -> JSONText.Member? {
        members.removeValue(forKey: ExactText(name))
    }

    mutating func bool(_ name: String) throws(HTTPProblem) -> Bool? {
        guard let member = take(name) else { return nil }
        guard case .bool(let value) = member.value else { throw .badRequest("\"\(name)\" takes true or false") }
        return value
    }

    mutating func integer(_ name: String, _ range: ClosedRange<Int>) throws(HTTPProblem) -> Int? {
        guard let member = take(name) else { return nil }
        guard case .number(let text) = member.value, let value = Int(text), range.contains(value) else {
            throw .badRequest("\"\(name)\" takes a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    mutating func label(_ name: String, problem: (String) -> String?) throws(HTTPProblem) -> String? {
        guard let member = take(name) else { return nil }
        guard case .string(let text) = member.value else { throw .badRequest("\"\(name)\" takes a string") }
        if let problem = problem(text) { throw .badRequest("\"\(name)\" \(problem)") }
        return text
    }

    /// A string under the one name, and strings in an array under the other.
    mutating func names(_ singular: String, _ plural: String) throws(HTTPProblem) -> [String] {
        var names: [String] = []
        if let member = take(singular) {
            guard case .string(let name) = member.value else { throw .badRequest("\"\(singular)\" takes a string") }
            names.append(name)
        }
        guard let member = take(plural) else { return names }
        guard case .array(let elements) = member.value else {
            throw .badRequest("\"\(plural)\" takes an array of strings")
        }
        for element in elements {
            guard case .string(let name) = element.value else {
                throw .badRequest("\"\(plural)\" takes an array of strings")
            }
            names.append(name)
        }
        return names
    }
}
