// SPDX-License-Identifier: Apache-2.0
import NIOCore

/// What travels on a Redis channel: plain data, or the versioned envelope of a `sluice_publish`.
///
///     0x1E  "1 " <id or -> " " <previous or -> LF
///     ("event: " T LF)? ("key: " K LF)? ("trace: " P LF)? ("end" LF)?
///     LF  data to the end of the message
///
/// Header lines that are not known are ignored, so that later versions can add some.
package struct Envelope: Equatable, Sendable {
    /// nil for an event that is live only.
    package var id: EventID?
    /// The id of the event before it in the same log; nil for the first.
    package var previous: EventID?
    package var type: String?
    package var key: String?
    package var ends = false
    /// For the log only; no stream sees it.
    package var trace: TraceParent?
    /// Where the data begins in the payload that was decoded.
    package var dataOffset = 0

    package static let mark: UInt8 = 0x1E

    package init(
        id: EventID? = nil, previous: EventID? = nil, type: String? = nil, key: String? = nil, ends: Bool = false,
        trace: TraceParent? = nil
    ) {
        self.id = id
        self.previous = previous
        self.type = type
        self.key = key
        self.ends = ends
        self.trace = trace
    }

    package init(_ event: Event, id: EventID? = nil, previous: EventID? = nil, trace: TraceParent? = nil) {
        self.init(id: id, previous: previous, type: event.type, key: event.key, ends: event.ends, trace: trace)
    }

    /// Why a payload that starts like an envelope is none.
    package enum Malformed: Error, Equatable {
        case version
        case id
        case header
        case noData
    }

    /// Decodes a message. One that does not start with the mark is plain data, whole.
    package init(decoding payload: UnsafeRawBufferPointer) throws(Malformed) {
        guard payload.first == Envelope.mark else { return }
        var reader = LineReader(payload: payload, offset: 1)
        guard let head = reader.next() else { throw .noData }
        let words = head.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard words.first?.elementsEqual("1".utf8) == true else { throw .version }
        guard words.count == 3 else { throw .id }
        id = try Envelope.id(words[1])
        let given = try Envelope.id(words[2])
        // One that can't be is no reason to look for it.
        previous = given.flatMap { previous in id.flatMap { previous < $0 ? previous : nil } }
        while true {
            guard let line = reader.next() else { throw .noData }
            if line.isEmpty { break }
            try header(line)
        }
        dataOffset = reader.offset
    }

    private static func id(_ word: Slice<UnsafeRawBufferPointer>) throws(Malformed) -> EventID? {
        if word.elementsEqual("-".utf8) { return nil }
        guard let id = EventID(word) else { throw .id }
        return id
    }

    private mutating func header(_ line: Slice<UnsafeRawBufferPointer>) throws(Malformed) {
        if line.elementsEqual("end".utf8) {
            ends = true
        } else if let value = Envelope.value(of: "event: ", in: line) {
            guard let type = value, EventLabel.problem(type: type) == nil else { throw .header }
            self.type = type
        } else if let value = Envelope.value(of: "key: ", in: line) {
            guard let key = value, EventLabel.problem(key: key) == nil else { throw .header }
            self.key = key
        } else if let value = Envelope.value(of: "trace: ", in: line) {
            // One that is malformed is no reason to drop the event.
            trace = value.flatMap { TraceParent($0) }
        }
    }

    /// nil if the line is not of that name; `.some(nil)` if its value is not UTF-8.
    private static func value(of name: StaticString, in line: Slice<UnsafeRawBufferPointer>) -> String?? {
        let name = UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
        guard line.starts(with: name) else { return nil }
        return .some(String(validating: line.dropFirst(name.count), as: UTF8.self))
    }

    /// Writes the envelope and its data: the reverse of decoding.
    package func encode(data: some Sequence<UInt8>, into buffer: inout ByteBuffer) {
        buffer.writeInteger(Envelope.mark)
        buffer.writeString("1 \(id?.description ?? "-") \(previous?.description ?? "-")\n")
        if let type { buffer.writeString("event: \(type)\n") }
        if let key { buffer.writeString("key: \(key)\n") }
        if let trace { buffer.writeString("trace: \(trace)\n") }
        if ends { buffer.writeString("end\n") }
        buffer.writeString("\n")
        buffer.writeBytes(data)
    }
}

/// Lines that end in LF, from an offset on.
private struct LineReader {
    let payload: UnsafeRawBufferPointer
    var offset: Int

    mutating func next() -> Slice<UnsafeRawBufferPointer>? {
        guard let end = payload[offset...].firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        defer { offset = end + 1 }
        return payload[offset..<end]
    }
}
