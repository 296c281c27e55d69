// SPDX-License-Identifier: Apache-2.0
import SluiceGateway
import Testing

@Suite("MemoryTrim")
struct MemoryTrimTests {
    @Test(
        "Memory is given back once after each crowd that has left, and at no other time",
        arguments: [
            ([0, 100, 0, 100, 0], [false, false, false, false, false]),
            ([10_000, 9_000, 6_000, 5_000, 4_000, 2_500], [false, false, false, true, false, true]),
            ([100, 700, 300, 200, 150], [false, false, false, true, false]),
            ([700, 100, 700, 100], [false, true, false, true]),
        ])
    func due(connections: [Int], expected: [Bool]) {
        var trim = MemoryTrim()
        #expect(connections.map { trim.isDue(connections: $0) } == expected)
    }
}
