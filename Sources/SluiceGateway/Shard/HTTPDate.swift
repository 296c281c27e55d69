// SPDX-License-Identifier: Apache-2.0

/// The time as the field `Date` has it (RFC 9110 §5.6.7), which every answer of a server with a clock carries (§6.6.1).
package enum HTTPDate {
    private static let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    package static func now() -> String {
        text(secondsSince1970: Int(WallClock.milliseconds() / 1000))
    }

    /// - Parameter secondsSince1970: not negative.
    package static func text(secondsSince1970 seconds: Int) -> String {
        let day = seconds / 86400
        let (year, month, dayOfMonth) = date(day)
        let time = seconds % 86400
        return """
            \(weekdays[day % 7]), \(digits(dayOfMonth)) \(months[month - 1]) \(year) \
            \(digits(time / 3600)):\(digits(time / 60 % 60)):\(digits(time % 60)) GMT
            """
    }

    private static func digits(_ number: Int) -> String {
        number < 10 ? "0\(number)" : "\(number)"
    }

    /// The Gregorian date of a day since 1970, in eras of 400 years that begin in March: a leap day ends its year.
    private static func date(_ day: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = day + 719_468
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = shifted / 146_097 * 400 + yearOfEra + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
    }
}
