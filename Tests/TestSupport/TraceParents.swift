// SPDX-License-Identifier: Apache-2.0

/// Values of the header `traceparent`, for whoever reads it: a node, and the Redis function.
package enum TraceParents {
    private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    private static let parent = "00f067aa0ba902b7"

    package static let sampled = "00-\(trace)-\(parent)-01"

    package static let good: [(text: String, isSampled: Bool)] = [
        (sampled, true), ("00-\(trace)-\(parent)-00", false), ("00-\(trace)-\(parent)-0a", false),
        ("00-\(trace)-\(parent)-ff", true), ("cc-\(trace)-\(parent)-01", true),
        ("01-\(trace)-\(parent)-01-what-the-future-brings", true),
    ]

    package static let malformed = [
        "", "00", "00-\(trace)-\(parent)", "00-\(trace)-\(parent)-1", "00-\(trace)-\(parent)-01-",
        "00-\(trace)-\(parent)-011", "00-\(trace)-\(parent)-0g", "00-\(trace)-\(parent)-0A", "ff-\(trace)-\(parent)-01",
        "FF-\(trace)-\(parent)-01", "00-\(String(repeating: "0", count: 32))-\(parent)-01",
        "00-\(trace)-\(String(repeating: "0", count: 16))-01", "00-\(trace.dropLast())-\(parent)0-01",
        "00_\(trace)_\(parent)_01", " 00-\(trace)-\(parent)-01", "01-\(trace)-\(parent)-01.what",
        "00-\(trace.uppercased())-\(parent)-01", "00-\(trace)-\(parent)-0\n",
    ]
}
