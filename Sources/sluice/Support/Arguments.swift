// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import SluiceBench
import SluiceRedis
import SluiceWeb

extension WebAddress: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }
}

extension RedisURL: ExpressibleByArgument {
    package init?(argument: String) { try? self.init(argument) }
}

extension HeaderField: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }
}

extension ProcessProbe: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }
}

extension ArgumentHelp {
    static func of(_ valueName: String, _ text: String) -> ArgumentHelp {
        var help = ArgumentHelp(stringLiteral: text)
        help.valueName = valueName
        return help
    }
}

extension ParsableArguments {
    func refuse(_ isWrong: Bool, _ problem: String) throws {
        if isWrong { throw ValidationError(problem) }
    }

    /// - Parameter part: is followed by what `check` throws.
    func refuse(_ part: String, ifFails check: () throws -> Void) throws {
        do { try check() } catch { throw ValidationError("\(part) \(error)") }
    }

    func check(_ option: String, _ value: Int, _ range: ClosedRange<Int>) throws {
        try refuse(!range.contains(value), "\(option) takes \(range.lowerBound) to \(range.upperBound)")
    }
}
