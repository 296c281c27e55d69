// SPDX-License-Identifier: Apache-2.0

/// A metric that is one number.
package protocol NumberMetric: Metric {
    init(_ name: String, _ help: String)
    var value: Int { get }
}

extension NumberMetric {
    package var samples: [(suffix: String, value: String)] { [("", "\(value)")] }
}
