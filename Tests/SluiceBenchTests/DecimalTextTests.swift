// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import SluiceBench

@Suite struct DecimalTextTests {
    @Test(arguments: [
        (0.0, 2, "0.00"), (1.005, 1, "1.0"), (0.0666, 3, "0.067"), (12.5, 0, "13"), (-0.001, 2, "0.00"),
        (-1.5, 1, "-1.5"),
        (.nan, 1, "0"), (1_890_000.4, 0, "1890000"),
    ])
    func rounded(_ value: Double, _ places: Int, _ text: String) {
        #expect(DecimalText(value, places: places).description == text)
    }
}
