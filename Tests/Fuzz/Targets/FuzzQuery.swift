// SPDX-License-Identifier: Apache-2.0
import NIOHTTP1
import SluiceCore
import SluiceGateway

extension FuzzTarget {
    /// What a request's target asks for is legal, within the limits, and asked for again in our words the same.
    ///
    /// A line for the target, then the value of `Last-Event-ID`.
    static func query(_ input: FuzzInput) {
        var input = input
        let uri = String(decoding: input.line(), as: UTF8.self)
        let headers: HTTPHeaders = input.bytes.isEmpty ? [:] : ["last-event-id": input.text]
        precondition(PercentEncoding.decode(PercentEncoding.encode(uri), plusIsSpace: true).map(sameBytes(uri)) == true)
        if !uri.utf8.contains(UInt8(ascii: "?")), let target = try? RequestTarget("\(uri)?appended=1"), uri != "*" {
            precondition(target.query.utf8.elementsEqual("appended=1".utf8))
        }
        guard let target = try? RequestTarget(uri), let query = try? Query(target.query, fieldsMax: .max) else {
            return
        }

        // Whatever came before it, a field that begins behind an ampersand is there.
        guard let longer = try? Query("\(target.query)&appended=1", fieldsMax: .max) else {
            fatalError("an ampersand is part of a field")
        }
        if let appended = try? longer.all("appended") { precondition(appended.last == "1") }

        if let request = try? Subscription(query: query, headers: headers, topicsMax: topicsMax) { check(request) }
    }

    private static let topicsMax = 3

    private static func check(_ request: Subscription) {
        let topics = request.targets.filter { $0.kind == .topic }
        precondition(topics.count <= topicsMax && request.targets.count <= topics.count + 1)
        var fields: [String] = []
        for target in request.targets {
            precondition(Target(target.description) == target)
            precondition(Set(request.targets).count == request.targets.count)
            fields.append("\(target.kind == .topic ? "topic" : "client")=\(PercentEncoding.encode(target.name))")
        }
        fields.append("checkpoints=\(request.hasCheckpoints)")
        fields.append("conflate=\(request.conflates ? 1 : 0)")
        switch request.resume {
        case .fresh: break
        case .after(let cursor): fields.append("last_event_id=\(cursor)")
        case .earliest: fields.append("last_event_id=earliest")
        case .available: fields.append("last_event_id=available")
        case .malformed: fields.append("last_event_id=no+cursor")
        }
        let again = try? Subscription(
            query: Query(fields.joined(separator: "&")), headers: [:], topicsMax: topicsMax)
        precondition(again == request)
    }

    private static func sameBytes(_ text: String) -> (String) -> Bool {
        { $0.utf8.elementsEqual(text.utf8) }
    }
}
