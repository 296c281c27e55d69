// SPDX-License-Identifier: Apache-2.0
import SluiceCore

extension FuzzTarget {
    /// A cursor that is taken is what we print, so that no two texts mean the same position.
    static func cursor(_ input: FuzzInput) {
        let text = input.text
        if let cursor = Cursor(text) { precondition(cursor.description.utf8.elementsEqual(text.utf8)) }
        if let id = EventID(input.bytes) {
            precondition(id.description.utf8.elementsEqual(input.bytes))
            precondition(EventID.zero <= id && id <= EventID.max)
            precondition(LogMarker("\(id) end") == LogMarker(id: id, ends: true))
        }
        _ = LogMarker(text)
    }
}
