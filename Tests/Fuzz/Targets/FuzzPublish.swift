// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceCore
import SluiceGateway

extension FuzzTarget {
    /// JSON that is taken means the same when it is read again, and what it publishes is legal and within the limits.
    static func publish(_ input: FuzzInput) {
        let text = input.text
        checkQuoted(text)
        if let members = try? JSONText.object(text) {
            for (name, member) in members { checkMember(name.text, member) }
        }
        var limits = PublishRequest.Limits(dataBytesMax: 512, maxlen: 7, ttl: 8)
        limits.targetsMax = 4
        let request = publishRequest(text, limits, step: .max)
        // In how many steps it is read makes no difference.
        let stepwise = publishRequest(text, limits, step: 1)
        precondition(request?.targets == stepwise?.targets && request?.dataBytes == stepwise?.dataBytes)
        guard let request else { return }
        precondition((1...limits.targetsMax).contains(request.publications.count))
        precondition(Set(request.publications.map(\.target)).count == request.publications.count)
        for publication in request.publications { check(publication, limits) }
    }

    private static func publishRequest(_ text: String, _ limits: PublishRequest.Limits, step: Int) -> PublishRequest? {
        Array(text.utf8).withUnsafeBytes { bytes in
            var reader = PublishReader(limits: limits)
            var limit = 0
            while true {
                limit = step > bytes.count - limit ? bytes.count : limit + step
                do {
                    if let request = try reader.read(bytes, upTo: limit) { return request }
                } catch { return nil }
            }
        }
    }

    /// Any text can be a JSON string.
    private static func checkQuoted(_ text: String) {
        guard case .string(let read)? = try? JSONText.object("{\"a\":\(JSONText.quoted(text))}")["a"]?.value else {
            fatalError("a quoted string is not read")
        }
        precondition(read.utf8.elementsEqual(text.utf8))
    }

    /// A value's text stands for itself: it is what goes out as data.
    private static func checkMember(_ name: String, _ member: JSONText.Member) {
        let again = try? JSONText.object("{\(JSONText.quoted(name)): \(member.text)\n}")
        precondition(again?.count == 1 && again?.values.first == member)
    }

    private static func check(_ publication: Publication, _ limits: PublishRequest.Limits) {
        precondition(Target(publication.target.description) == publication.target)
        let event = publication.event
        precondition(event.data.readableBytes <= limits.dataBytesMax)
        precondition(event.type.map { EventLabel.problem(type: $0) == nil } != false)
        precondition(
            [event.key, publication.once].allSatisfy { $0.map { EventLabel.problem(key: $0) == nil } != false })
        guard let retention = publication.retention else { return precondition(!event.ends) }
        precondition(Publication.maxlenRange.contains(retention.maxlen ?? 0))
        precondition(Publication.ttlRange.contains(retention.ttl ?? 0))
    }
}
