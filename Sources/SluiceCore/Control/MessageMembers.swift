// SPDX-License-Identifier: Apache-2.0

/// The members of a message between nodes, which are taken out by their names. What is left over is of a later version.
struct MessageMembers {
    private var members: [ExactText: JSONText.Member]

    /// - Throws: ``MalformedMessage`` if the text is no JSON object.
    init(json text: String) throws(MalformedMessage) {
        do { members = try JSONText.object(text) } catch { throw MalformedMessage(description: "\(error)") }
    }

    /// How many were not taken.
    var left: Int { members.count }

    func has(_ name: String) -> Bool { members[ExactText(name)] != nil }

    private mutating func take(_ name: String) -> JSONText.Member? { members.removeValue(forKey: ExactText(name)) }

    mutating func string(_ name: String, _ wanted: String = "a string") throws(MalformedMessage) -> String {
        guard case .string(let text)? = take(name)?.value else { throw MessageMembers.wrong(name, wanted) }
        return text
    }

    /// Its beginning: a longer one is of somebody who has too much to say.
    mutating func text(_ name: String, upTo bytes: Int) throws(MalformedMessage) -> String {
        MessageMembers.beginning(of: try string(name), upTo: bytes)
    }

    /// Cut by bytes, because one character may have any number of them.
    static func beginning(of text: String, upTo bytes: Int) -> String {
        text.utf8.count <= bytes ? text : String(decoding: text.utf8.prefix(bytes), as: UTF8.self)
    }

    mutating func client(_ name: String) throws(MalformedMessage) -> String {
        let client = try string(name, "a client's id")
        do { _ = try Target.client(client) } catch { throw MalformedMessage(description: "the client \(error)") }
        return client
    }

    mutating func node(_ name: String) throws(MalformedMessage) -> String {
        let node = try string(name, "a node's id")
        guard NodeID.isValid(node) else { throw MessageMembers.wrong(name, "a node's id") }
        return node
    }

    mutating func flag(_ name: String, default standard: Bool) throws(MalformedMessage) -> Bool {
        switch take(name)?.value {
        case nil: return standard
        case .bool(let value)?: return value
        default: throw MessageMembers.wrong(name, "true or false")
        }
    }

    /// - Parameter standard: nil: it has to be there.
    mutating func integer(
        _ name: String, _ range: ClosedRange<Int>, default standard: Int? = nil
    ) throws(MalformedMessage) -> Int {
        guard let member = take(name) else {
            if let standard { return standard }
            throw MessageMembers.wrong(name, "a whole number")
        }
        guard let number = Int(member.text), range.contains(number) else {
            throw MessageMembers.wrong(name, "a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// Absent: none.
    mutating func array(_ name: String) throws(MalformedMessage) -> [JSONText.Member] {
        switch take(name)?.value {
        case nil: return []
        case .array(let elements)?: return elements
        default: throw MessageMembers.wrong(name, "an array")
        }
    }

    /// The text of an object; absent: nil.
    mutating func object(_ name: String) throws(MalformedMessage) -> String? {
        guard let member = take(name) else { return nil }
        guard case .object = member.value else { throw MessageMembers.wrong(name, "an object") }
        return String(member.text)
    }

    /// It is null, or not there; then it is taken.
    mutating func isNull(_ name: String) -> Bool {
        guard let member = members[ExactText(name)] else { return true }
        guard case .null = member.value else { return false }
        members[ExactText(name)] = nil
        return true
    }

    /// Absent, null or no number: nil.
    mutating func number(_ name: String) -> Double? {
        guard case .number(let text)? = take(name)?.value else { return nil }
        return Double(text)
    }

    static func wrong(_ name: String, _ wanted: String) -> MalformedMessage {
        MalformedMessage(description: "\"\(name)\" takes \(wanted)")
    }
}
