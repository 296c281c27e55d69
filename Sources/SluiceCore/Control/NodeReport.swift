// SPDX-License-Identifier: Apache-2.0

/// How a node is: what `GET /nodes` says of each that has answered.
package struct NodeReport: Equatable, Sendable {
    private static let problemBytesMax = 256

    package var entry: NodeEntry
    /// Why it is not ready; nil: it is.
    package var problem: String?
    /// The numbers of the partitions whose feed is down.
    package var partitionsDown: [Int] = []
    /// Seconds since it last heard the broker over its feed, the longest over its partitions.
    package var silent = 0.0
    /// Streams that are behind.
    package var behind = 0
    /// Totals since its start.
    package var gaps = 0
    package var shed = 0
    package var eventsIn = 0
    package var eventsOut = 0
    /// Resident bytes.
    package var memory = 0
    package var descriptors = 0
    package var descriptorsMax = 0
    /// The slowest first.
    package var slowest: [SlowStream] = []

    package init(entry: NodeEntry) {
        self.entry = entry
    }

    private static var numbers: [(name: String, path: WritableKeyPath<NodeReport, Int>)] {
        [
            ("behind", \.behind), ("gaps", \.gaps), ("shed", \.shed), ("events_in", \.eventsIn),
            ("events_out", \.eventsOut), ("memory", \.memory), ("descriptors", \.descriptors),
            ("descriptors_max", \.descriptorsMax),
        ]
    }

    init(json text: String) throws(MalformedMessage) {
        var members = try MessageMembers(json: text)
        entry = try NodeEntry(&members)
        if !members.isNull("problem") {
            problem = try members.text("problem", upTo: NodeReport.problemBytesMax)
        }
        for element in try members.array("partitions_down") {
            guard let number = Int(element.text), (0..<Partitioning.clusterCount).contains(number) else {
                throw MessageMembers.wrong("partitions_down", "an array of partitions")
            }
            partitionsDown.append(number)
        }
        for element in try members.array("slowest").prefix(SlowStream.countMax) {
            slowest.append(try SlowStream(json: element.text))
        }
        silent = min(max(0, members.number("silent") ?? 0), SlowStream.secondsMax)
        // A node of a later version may have given one of them up.
        for (name, path) in NodeReport.numbers {
            self[keyPath: path] = try members.integer(name, 0...Int.max, default: 0)
        }
    }

    /// The members of a JSON object.
    package var members: String {
        let numbers = NodeReport.numbers.map { ",\"\($0.name)\":\(self[keyPath: $0.path])" }.joined()
        let down = partitionsDown.map { String($0) }.joined(separator: ",")
        let seconds = (silent * 1000).rounded() / 1000
        return "\(entry.members),\"problem\":\(problem.map { JSONText.quoted($0) } ?? "null"),"
            + "\"partitions_down\":[\(down)],\"silent\":\(seconds)\(numbers),"
            + "\"slowest\":[\(slowest.map(\.json).joined(separator: ","))]"
    }
}
