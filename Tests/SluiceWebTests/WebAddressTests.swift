// SPDX-License-Identifier: Apache-2.0
import SluiceWeb
import Testing

@Suite("WebAddress") struct WebAddressTests {
    @Test func partsOfAnAddress() throws {
        let plain = try #require(WebAddress("http://127.0.0.1:8080"))
        #expect(plain.host == "127.0.0.1" && plain.port == 8080 && plain.target == "/" && plain.hasNoPath)
        #expect(plain.hostHeader == "127.0.0.1:8080")
        let long = try #require(WebAddress("https://example.org/events?topic=a&x=http://b:1/#part"))
        #expect(long.usesTLS && long.port == 443 && long.target == "/events?topic=a&x=http://b:1/")
        #expect(long.hostHeader == "example.org")
        #expect(long.description == "https://example.org/events")
        let six = try #require(WebAddress("http://[::1]:81?a"))
        #expect(six.host == "::1" && six.port == 81 && six.target == "/?a" && six.hostHeader == "[::1]:81")
        #expect(WebAddress("http://[::1]")?.port == 80)
    }

    @Test(arguments: [
        "", "127.0.0.1:8080", "ftp://x", "http://", "http://:80", "http://h:0", "http://h:65536", "http://h:x",
        "http://a b",
        "http://h/a b", "http://h/a\r\nX: y", "http://user@h",
    ])
    func whatIsNone(_ text: String) {
        #expect(WebAddress(text) == nil)
    }
}
