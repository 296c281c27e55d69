// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// `PID[,PID]…`
struct ProcessList: ExpressibleByArgument, Sendable {
    let processes: [Int32]

    init?(argument text: String) {
        // pidof separates with spaces.
        let parts = text.split { $0 == "," || $0 == " " }
        processes = parts.compactMap { Int32($0) }.filter { $0 > 0 }
        if processes.isEmpty || processes.count != parts.count { return nil }
    }
}
