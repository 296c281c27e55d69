// SPDX-License-Identifier: Apache-2.0
import Foundation
import SluiceGateway
import Testing

@Suite("The time in a head")
struct HTTPDateTests {
    @Test(
        "is written as RFC 9110 has it",
        arguments: [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"), (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_763_720_000, "Fri, 21 Nov 2025 10:13:20 GMT"), (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ])
    func known(seconds: Int, text: String) {
        #expect(HTTPDate.text(secondsSince1970: seconds) == text)
    }

    @Test("agrees with Foundation on every day from 1970 to 2110")
    func days() {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(identifier: "GMT")
        formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        for day in 0..<51_000 {
            let seconds = day * 86400 + day % 86400
            #expect(
                HTTPDate.text(secondsSince1970: seconds)
                    == formatter.string(from: Date(timeIntervalSince1970: Double(seconds))))
        }
    }
}
