// SPDX-License-Identifier: Apache-2.0
import NIOCore
import SluiceGateway
import Testing

@Suite("How much is read of a connection at once") struct ReadSizesTests {
    @Test("grows while a connection fills what it is given, up to 1 KiB, and not for one that does not")
    func growth() {
        var sizes = ReadSizes()
        #expect(!sizes.record(actualReadBytes: 127) && sizes.nextBufferSize() == 128)
        for next in [256, 512, 1024] {
            let grows = sizes.record(actualReadBytes: next / 2)
            #expect(grows && sizes.nextBufferSize() == next)
            #expect(sizes.buffer(allocator: ByteBufferAllocator()).capacity == next)
        }
        #expect(!sizes.record(actualReadBytes: 1024) && sizes.nextBufferSize() == 1024)
    }

    @Test("lies within the channel: NIO keeps it in an existential, which has room for three words")
    func size() {
        #expect(MemoryLayout<ReadSizes>.size <= 3 * MemoryLayout<Int>.size)
    }
}
