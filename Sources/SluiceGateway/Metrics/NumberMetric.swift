// SPDX-License-Identifier: Apache-2.0

/// A metric that is one number.
package protocol NumberMetric: Metric, AnyObject {
    init(_ name: String, _ help: String)
    static var kind: MetricKind { get }
    var value: Int { get }
}

extension NumberMetric {
    package var kind: MetricKind { Self.kind }
    package var samples: [MetricSample] { [MetricSample("\(value)")] }
}
