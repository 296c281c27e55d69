// SPDX-License-Identifier: Apache-2.0

/// A page of metrics, read as strictly as its format is written down: Prometheus' text format 0.0.4, or OpenMetrics 1.0.
package struct MetricsText {
    package struct Sample: Hashable {
        package let name: String
        package let labels: [String: String]
        package let value: Double
    }

    package struct Family {
        package let name: String
        package let type: String
        package let help: String
        package let unit: String?
        package let samples: [Sample]
    }

    package struct Wrong: Error, CustomStringConvertible {
        package let description: String
    }

    package private(set) var families: [Family] = []
    private let isOpen: Bool
    private var seen: Set<String> = []

    package init(_ text: String, isOpenMetrics: Bool) throws {
        isOpen = isOpenMetrics
        guard text.hasSuffix("\n"), !text.contains("\r") else { throw Wrong(description: "lines end with LF") }
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        if isOpen, lines.popLast() != "# EOF" { throw Wrong(description: "it does not end with # EOF") }
        while !lines.isEmpty {
            let family = try family(&lines)
            guard seen.insert(family.name).inserted else { throw Wrong(description: "\(family.name) comes twice") }
            try check(family)
            families.append(family)
        }
    }

    package var samples: [Sample] { families.flatMap(\.samples) }

    /// The families by their samples' common name, which is that of the family in Prometheus' own format.
    package subscript(name: String) -> Family? { families.first { $0.name == name } }

    // MARK: Lines

    /// What is said of a family, in any order, and its samples behind that.
    private func family(_ lines: inout ArraySlice<Substring>) throws -> Family {
        var name: String?
        var said: [String: String] = [:]
        while let line = lines.first, line.hasPrefix("#") {
            let words = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
            guard words.count == 4, words[0] == "#", isOpen ? words[1] != "" : words[1] != "UNIT",
                ["HELP", "TYPE", "UNIT"].contains(words[1])
            else { throw Wrong(description: "no line of a metric: \(line)") }
            if let name, name != words[2] { break }
            name = words[2]
            guard said.updateValue(words[3], forKey: words[1]) == nil else {
                throw Wrong(description: "said twice: \(line)")
            }
            lines.removeFirst()
        }
        guard let name, let type = said["TYPE"], let help = said["HELP"] else {
            throw Wrong(description: "nothing is said of \(lines.first ?? "the end")")
        }
        guard name.wholeMatch(of: /[a-zA-Z_:][a-zA-Z0-9_:]*/) != nil else { throw Wrong(description: "name \(name)") }
        try checkEscapes(help, mayQuote: isOpen)
        var samples: [Sample] = []
        while let line = lines.first, !line.hasPrefix("#") {
            samples.append(try sample(line))
            lines.removeFirst()
        }
        return Family(name: name, type: type, help: help, unit: said["UNIT"], samples: samples)
    }

    private func sample(_ line: Substring) throws -> Sample {
        guard
            let parts = line.wholeMatch(
                of: /([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[^"\\}]|"(?:[^"\\]|\\.)*")*)\})? ([^ ]+)/)
        else { throw Wrong(description: "no sample: \(line)") }
        let text = String(parts.3)
        guard let value = ["+Inf": Double.infinity, "-Inf": -.infinity, "NaN": .nan][text] ?? Double(text) else {
            throw Wrong(description: "no number: \(line)")
        }
        return Sample(name: String(parts.1), labels: try labels(parts.2 ?? ""), value: value)
    }

    private func labels(_ text: Substring) throws -> [String: String] {
        var labels: [String: String] = [:]
        var rest = text
        while !rest.isEmpty {
            guard let label = rest.prefixMatch(of: /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(,|$)/) else {
                throw Wrong(description: "no label: \(rest)")
            }
            try checkEscapes(String(label.2), mayQuote: true)
            guard labels.updateValue(String(label.2), forKey: String(label.1)) == nil else {
                throw Wrong(description: "a label twice: \(text)")
            }
            rest = rest[label.range.upperBound...]
        }
        return labels
    }

    private func checkEscapes(_ text: String, mayQuote: Bool) throws {
        let plain = text.replacing("\\\\", with: "").replacing("\\n", with: "")
        guard !(mayQuote ? plain.replacing("\\\"", with: "") : plain).contains("\\") else {
            throw Wrong(description: "an escape that is none: \(text)")
        }
    }

    // MARK: Families

    private func check(_ family: Family) throws {
        func fail(_ why: String) -> Wrong { Wrong(description: "\(family.name): \(why)") }
        if let unit = family.unit, !family.name.hasSuffix("_\(unit)") { throw fail("its name does not end in \(unit)") }
        let names: Set<String> =
            switch family.type {
            case "counter": [isOpen ? "\(family.name)_total" : family.name]
            case "gauge": [family.name]
            case "histogram": ["\(family.name)_bucket", "\(family.name)_sum", "\(family.name)_count"]
            case "info" where isOpen: ["\(family.name)_info"]
            default: throw fail("type \(family.type)")
            }
        guard family.samples.allSatisfy({ names.contains($0.name) }) else { throw fail("a sample of another") }
        guard
            Set(family.samples.map { "\($0.name) \($0.labels.sorted { $0.key < $1.key })" }).count
                == family.samples.count
        else { throw fail("a sample twice") }
        switch family.type {
        case "counter" where !family.samples.allSatisfy { $0.value >= 0 && $0.value.isFinite }: throw fail("falls")
        case "info" where !family.samples.allSatisfy { $0.value == 1 }: throw fail("is not 1")
        case "histogram": try checkHistogram(family)
        default: break
        }
    }

    private func checkHistogram(_ family: Family) throws {
        func fail(_ why: String) -> Wrong { Wrong(description: "\(family.name): \(why)") }
        let buckets = family.samples.filter { $0.name.hasSuffix("_bucket") }
        let ends = try buckets.map { bucket in
            guard let end = bucket.labels["le"], let number = end == "+Inf" ? Double.infinity : Double(end) else {
                throw fail("a bucket without an end")
            }
            guard !isOpen || end == "+Inf" || end.contains(".") || end.contains("e") else { throw fail("le=\(end)") }
            return number
        }
        guard ends.last == .infinity, zip(ends, ends.dropFirst()).allSatisfy({ $0 < $1 }) else { throw fail("ends") }
        guard zip(buckets, buckets.dropFirst()).allSatisfy({ $0.value <= $1.value }) else { throw fail("falls") }
        guard let sum = family.samples.first(where: { $0.name.hasSuffix("_sum") }), sum.value >= 0,
            let count = family.samples.first(where: { $0.name.hasSuffix("_count") }),
            count.value == buckets.last?.value, family.samples.count == buckets.count + 2
        else { throw fail("its sum and count") }
    }
}

extension MetricsText.Family {
    /// What a quantile of a histogram lies between.
    package func bucket(of quantile: Double) -> ClosedRange<Double>? {
        let buckets = samples.filter { $0.name.hasSuffix("_bucket") }
        guard let total = buckets.last?.value, total > 0,
            let index = buckets.firstIndex(where: { $0.value >= total * quantile })
        else { return nil }
        func end(_ index: Int) -> Double { Double(buckets[index].labels["le"] ?? "") ?? .infinity }
        return (index > 0 ? end(index - 1) : 0)...end(index)
    }
}
