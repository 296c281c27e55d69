// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import SluiceGateway
import Testing

@Suite("The newest event of each key")
struct NewestOfKeyTests {
    private func batch(_ builder: inout BatchBuilder, _ keys: [(target: UInt64, key: String?)]) throws -> Batch {
        for (target, key) in keys {
            _ = builder.append(
                Envelope(key: key), data: UnsafeRawBufferPointer(start: nil, count: 0), target: TargetNumber(target))
        }
        let batch = builder.finish()
        return try #require(batch)
    }

    private func superseded(_ newest: NewestOfKey, _ batch: Batch) -> [Bool] {
        batch.entries.enumerated().map { newest.isSuperseded($1, at: batch.position + UInt64($0)) }
    }

    @Test("supersedes earlier ones of the same key and target, and nothing else")
    func supersedes() throws {
        var builder = BatchBuilder()
        var newest = NewestOfKey()
        let first = try batch(&builder, [(1, "a"), (1, "b"), (2, "a"), (1, nil), (1, "a")])
        newest.note(first)
        #expect(superseded(newest, first) == [true, false, false, false, false])
        let second = try batch(&builder, [(1, "b")])
        newest.note(second)
        #expect(superseded(newest, first) == [true, true, false, false, false])
        #expect(superseded(newest, second) == [false])
    }

    @Test("is forgotten with the batch that held it, unless a later one has come")
    func forgets() throws {
        var builder = BatchBuilder()
        var newest = NewestOfKey()
        let first = try batch(&builder, [(1, "a"), (1, "b")])
        let second = try batch(&builder, [(1, "a")])
        newest.note(first)
        newest.note(second)
        newest.forget(first)
        #expect(superseded(newest, first) == [true, false])
        newest.forget(second)
        #expect(superseded(newest, first) == [false, false])
    }
}
