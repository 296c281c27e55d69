// SPDX-License-Identifier: Apache-2.0
import SluiceCore

/// The body of `POST /presence`: `{"clients":["ann","bob"],"topics":["news"]}`.
///
/// Read by its tokens, so that what is wrong or too much ends it at the first byte that shows it.
package struct PresenceRequest: Equatable, Sendable {
    private enum Member: String {
        case clients, topics
    }

    /// Clients first, each name once.
    package let targets: [Target]

    /// - Throws: ``HTTPProblem`` that says what is wrong and what would be right.
    package init(json bytes: UnsafeRawBufferPointer) throws(HTTPProblem) {
        var scanner = JSONScanner()
        var member = Member.clients
        var name: [UInt8] = []
        var found: [Member: [Target]] = [:]
        var seen: Set<Target> = []
        while let token = try PresenceRequest.checked({ () throws(MalformedJSON) in
            try scanner.next(bytes, upTo: bytes.count)
        }) {
            switch token {
            case .objectBegins where scanner.depth == 1, .objectEnds, .arrayEnds: break
            case .arrayBegins where scanner.depth == 2: break
            case .name:
                let text = String(decoding: scanner.name.prefix(40), as: UTF8.self)
                guard let known = Member(rawValue: text), known.rawValue.utf8.elementsEqual(scanner.name) else {
                    throw .badRequest("unknown member \(JSONText.quoted(text))")
                }
                member = known
            case .stringBegins where scanner.depth == 2: name.removeAll(keepingCapacity: true)
            case .text(let range): name.append(contentsOf: bytes[range].prefix(InvalidName.bytesMax + 1))
            case .scalar(let scalar): if name.count <= InvalidName.bytesMax { name.append(contentsOf: scalar.utf8) }
            case .stringEnds:
                let target = try PresenceRequest.target(String(decoding: name, as: UTF8.self), member)
                guard seen.insert(target).inserted else { continue }
                guard seen.count <= SurveyQuestion.namesMax else {
                    throw .badRequest("more than \(SurveyQuestion.namesMax) names")
                }
                found[member, default: []].append(target)
            default: throw .badRequest("\"\(member.rawValue)\" takes an array of strings")
            }
        }
        try PresenceRequest.checked { () throws(MalformedJSON) in try scanner.checkEnd() }
        guard !seen.isEmpty else { throw .badRequest("name somebody: \"clients\" or \"topics\"") }
        targets = (found[.clients] ?? []) + (found[.topics] ?? [])
    }

    private static func checked<Value>(_ body: () throws(MalformedJSON) -> Value) throws(HTTPProblem) -> Value {
        do { return try body() } catch { throw .badRequest("the JSON is malformed: \(error)") }
    }

    private static func target(_ name: String, _ member: Member) throws(HTTPProblem) -> Target {
        do {
            switch member {
            case .clients: return try .client(name)
            case .topics: return try .topic(name)
            }
        } catch {
            let kind = member == .clients ? "client" : "topic"
            throw .badRequest("the \(kind) \(JSONText.quoted(name.prefix(80))) \(error)")
        }
    }
}
