// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import SluiceRedis
import SluiceWeb

extension WebAddress: ExpressibleByArgument {
    package init?(argument: String) {
        self.init(argument)
    }
}

extension RedisURL: ExpressibleByArgument {
    package init?(argument: String) {
        try? self.init(argument)
    }
}

extension HeaderField: ExpressibleByArgument {
    package init?(argument: String) {
        self.init(argument)
    }
}

extension ParsableArguments {
    /// - Throws: what the user is told of a number that is out of bounds.
    func check(_ option: String, _ value: Int, _ range: ClosedRange<Int>) throws {
        if range.contains(value) { return }
        throw ValidationError("\(option) takes \(range.lowerBound) to \(range.upperBound)")
    }
}
