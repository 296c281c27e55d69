// SPDX-License-Identifier: Apache-2.0
import NIOEmbedded
import SluiceCore
import SluiceGateway
import Testing

@Suite("The times of deliveries")
struct DeliveryTimesTests {
    private let node = ScriptedNode()
    private let a: Target
    private let b: Target

    init() throws {
        a = try .topic("a")
        b = try .topic("b")
    }

    /// How many took so many milliseconds, up to the end of their bucket.
    private var times: [String: Int] {
        var last = 0
        var times: [String: Int] = [:]
        for sample in node.counters.deliveryTimes.samples where sample.suffix == "_bucket" {
            let count = (Int(sample.value) ?? -1) - last
            if count > 0 { times[sample.labels] = count }
            last += count
        }
        return times
    }

    /// Published so many milliseconds before it is written.
    private func event(_ age: UInt64, after previous: String = "-") -> String {
        "\u{1E}1 \(ScriptedNode.id(100 - age)) \(previous)\n\nx"
    }

    @Test("are counted for each stream that an event is written to, many or few, of one topic or of two")
    func streams() throws {
        for _ in 0..<150 { _ = try node.open("topic=a") }
        for _ in 0..<3 { _ = try node.open("topic=a&topic=b") }
        // One read of the feed brings both.
        let numbers = try [#require(node.broker.numbers[a]), #require(node.broker.numbers[b])]
        for (number, age) in zip(numbers, [UInt64(90), 4]) {
            Array(event(age).utf8).withUnsafeBytes { node.hub.receive(.message($0, for: number)) }
        }
        node.hub.receive(.readComplete)
        node.loop.run()
        #expect(times == ["{le=\"0.1\"}": 153, "{le=\"0.005\"}": 3])
        #expect(node.counters.eventsDelivered.value == 156)
        #expect(node.counters.deliveryTimes.samples.contains(MetricSample(suffix: "_sum", "13.782")))
    }

    @Test("leave out what has no id, and take an id of a clock that is ahead for no time at all")
    func ids() throws {
        _ = try node.open("topic=a")
        try node.receive("plain", of: a)
        #expect(times.isEmpty && node.counters.eventsDelivered.value == 1)
        try node.receive("\u{1E}1 \(ScriptedNode.id(5000)) -\n\nx", of: a)
        #expect(times == ["{le=\"0.001\"}": 1])
    }
}
