// SPDX-License-Identifier: Apache-2.0
import SluiceCore
import SluiceGateway
import Testing

@Suite("Where a stream stands among its targets' streams") struct MembershipsTests {
    private final class Member {}

    @Test("is what an array would have, with none, one, two and more", arguments: 0..<6)
    func likeAnArray(count: Int) throws {
        var memberships = Memberships<Member>()
        var places: [Int32] = []
        for number in 0..<count {
            memberships.append(.init(subscribers: Subscribers(target: try .topic("\(number)")), place: Int32(number)))
            places.append(Int32(number))
        }
        #expect(memberships.map(\.place) == places && memberships.count == count)
        for index in places.indices {
            memberships[index].place += 10
            places[index] += 10
            #expect(memberships.map(\.place) == places)
            #expect(memberships[index].subscribers.target == (try .topic("\(index)")))
        }
    }
}
