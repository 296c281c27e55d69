// SPDX-License-Identifier: Apache-2.0

/// How the page of metrics is written.
package enum MetricsFormat: CaseIterable, Sendable {
    /// Prometheus' text format 0.0.4, which everybody reads.
    case prometheus
    /// OpenMetrics 1.0, for who asks for it.
    case openMetrics

    /// - Parameter accept: the request's header fields of that name (RFC 9110 §12.5.1).
    package init(accept: [String]) {
        var weights: [MetricsFormat: Double] = [:]
        for range in accept.joined(separator: ",").split(separator: ",") {
            let parts = range.split(separator: ";").map { MetricsFormat.trimmed($0).lowercased() }
            guard let type = parts.first else { continue }
            let parameters = parts.dropFirst()
            let weight = parameters.first { $0.hasPrefix("q=") }.map { Double($0.dropFirst(2)) ?? 0 } ?? 1
            let version = parameters.first { $0.hasPrefix("version=") }?.dropFirst(8)
            switch type {
            case "application/openmetrics-text" where version == nil || version == "1.0.0":
                weights[.openMetrics] = max(weights[.openMetrics] ?? 0, weight)
            case "text/plain": weights[.prometheus] = max(weights[.prometheus] ?? 0, weight)
            default: break
            }
        }
        let wanted = weights[.openMetrics] ?? 0
        self = wanted > 0 && wanted >= weights[.prometheus] ?? 0 ? .openMetrics : .prometheus
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while text.first == " " || text.first == "\t" { text.removeFirst() }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return text
    }

    package var contentType: String {
        switch self {
        case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }

    /// What the page ends with: whoever gets half of one has to know.
    package var end: String { self == .openMetrics ? "# EOF\n" : "" }

    /// What a metric's lines about it call it: to OpenMetrics `_total` and `_info` belong to the number, not to the metric.
    func family(_ name: String, _ kind: MetricKind) -> String {
        guard self == .openMetrics else { return name }
        return switch kind {
        case .counter: MetricsFormat.without("_total", name)
        case .info: MetricsFormat.without("_info", name)
        case .gauge, .histogram: name
        }
    }

    func name(of kind: MetricKind) -> String {
        self == .prometheus && kind == .info ? MetricKind.gauge.rawValue : kind.rawValue
    }

    /// Prometheus' own format has no line for it.
    func unit(of family: String) -> String? {
        guard self == .openMetrics else { return nil }
        return ["seconds", "bytes"].first { family.hasSuffix("_\($0)") }
    }

    private static func without(_ suffix: String, _ name: String) -> String {
        name.hasSuffix(suffix) ? String(name.dropLast(suffix.count)) : name
    }
}
