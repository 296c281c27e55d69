// SPDX-License-Identifier: Apache-2.0

/// What a stream is spoken over: a label of a metric.
package enum StreamProtocol: String, CaseIterable, Sendable {
    case http10 = "http/1.0"
    case http11 = "http/1.1"
    case http2 = "http/2"
}
