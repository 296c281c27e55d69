// SPDX-License-Identifier: Apache-2.0
import SluiceGateway

/// What ends a command with exit code 1 and one line on standard error.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }

    /// An error of the network in the words that a person would use.
    init(_ context: String, _ error: any Error) {
        description = "\(context): \(NetworkError.reason(error))"
    }
}
