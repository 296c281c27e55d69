// SPDX-License-Identifier: Apache-2.0

/// What is to be done to the rows of a table, so that they are what they have to be.
func tableChanges(_ rows: [String], toBe expected: [String]) -> String {
    expected.difference(from: rows).map { change in
        switch change {
        case .insert(let index, let row, _): "write as row \(index + 1): \(row)\n"
        case .remove(let index, let row, _): "remove row \(index + 1): \(row)\n"
        }
    }.joined()
}
