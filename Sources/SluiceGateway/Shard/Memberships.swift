// SPDX-License-Identifier: Apache-2.0

/// Where one stream stands among those of its targets.
///
/// The first two lie within: most streams have a target of their own and the one that everybody has, and an array would cost
/// each of them 80 bytes.
package struct Memberships<Member: AnyObject>: RandomAccessCollection, MutableCollection {
    package struct Membership {
        package let subscribers: Subscribers<Member>
        /// Among ``Subscribers/streams``.
        package var place: Int32

        package init(subscribers: Subscribers<Member>, place: Int32) {
            self.subscribers = subscribers
            self.place = place
        }
    }

    private var first: Membership?
    private var second: Membership?
    private var others: [Membership] = []

    package init() {}

    package var startIndex: Int { 0 }
    package var endIndex: Int { (first == nil ? 0 : 1) + (second == nil ? 0 : 1) + others.count }

    package subscript(index: Int) -> Membership {
        get {
            guard index < 2 else { return others[index - 2] }
            guard let membership = index == 0 ? first : second else { preconditionFailure("no membership \(index)") }
            return membership
        }
        set {
            switch index {
            case 0: first = newValue
            case 1: second = newValue
            default: others[index - 2] = newValue
            }
        }
    }

    package mutating func append(_ membership: Membership) {
        switch count {
        case 0: first = membership
        case 1: second = membership
        default: others.append(membership)
        }
    }
}
