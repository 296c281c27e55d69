// SPDX-License-Identifier: Apache-2.0

/// What this node had of one target from the data set that was before this one.
struct HeardBefore {
    private(set) var newest: EventID
    /// Those that are remembered.
    private var ids: Set<EventID>
    /// Up to here it is not known which: all of them, then.
    private var forgotten: EventID

    init(upTo newest: EventID, _ ids: Set<EventID>, forgotten: EventID) {
        self.newest = newest
        self.ids = ids
        self.forgotten = forgotten
    }

    func contains(_ id: EventID) -> Bool {
        id == newest || ids.contains(id) || (id < newest && id <= forgotten)
    }

    mutating func insert(_ id: EventID) { ids.insert(id) }

    /// What was had before that.
    mutating func add(_ older: HeardBefore) {
        ids.formUnion(older.ids.filter { $0 > forgotten })
        ids.insert(older.newest)
    }
}
