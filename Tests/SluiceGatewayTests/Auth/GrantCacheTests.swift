// SPDX-License-Identifier: Apache-2.0
import Crypto
import SluiceCore
import SluiceGateway
import Testing

@Suite("GrantCache")
struct GrantCacheTests {
    private static func hash(_ number: Int) -> SHA256Digest { SHA256.hash(data: Array("\(number)".utf8)) }

    @Test("Those who were asked for last are known, and never more than twice the capacity")
    func capacity() {
        var cache = GrantCache()
        for number in 0..<GrantCache.capacity * 3 {
            cache.insert(Grant(id: "\(number)"), of: GrantCacheTests.hash(number), generation: 0)
            #expect(cache.grant(of: GrantCacheTests.hash(0), generation: 0)?.id == "0")
        }
        let known = (0..<GrantCache.capacity * 3).filter {
            cache.grant(of: GrantCacheTests.hash($0), generation: 0) != nil
        }
        #expect(known.count <= 2 * GrantCache.capacity)
        #expect(known.contains(GrantCache.capacity * 3 - 1) && !known.contains(1))
    }

    @Test("What was said by keys that are no longer those is forgotten, and not learned late")
    func generations() {
        var cache = GrantCache()
        let token = GrantCacheTests.hash(1)
        cache.insert(Grant(id: "old"), of: token, generation: 1)
        #expect(cache.grant(of: token, generation: 2) == nil)
        cache.insert(Grant(id: "late"), of: token, generation: 1)
        #expect(cache.grant(of: token, generation: 2) == nil)
        cache.insert(Grant(id: "new"), of: token, generation: 2)
        #expect(cache.grant(of: token, generation: 2)?.id == "new")
    }
}
