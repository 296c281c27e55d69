// SPDX-License-Identifier: Apache-2.0

/// A number with a fixed number of places, without Foundation.
struct DecimalText: CustomStringConvertible {
    let description: String

    init(_ value: Double, places: Int) {
        guard value.isFinite, abs(value) < 1e12 else {
            description = "0"
            return
        }
        let scale = (0..<places).reduce(Int64(1)) { product, _ in product * 10 }
        let scaled = Int64((value.magnitude * Double(scale)).rounded())
        let sign = value < 0 && scaled != 0 ? "-" : ""
        guard places > 0 else {
            description = "\(sign)\(scaled)"
            return
        }
        let fraction = String(scaled % scale)
        description = "\(sign)\(scaled / scale)." + String(repeating: "0", count: places - fraction.count) + fraction
    }
}
