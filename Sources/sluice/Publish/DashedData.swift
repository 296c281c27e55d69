// SPDX-License-Identifier: Apache-2.0

/// Data of `sluice publish` that begins with a dash, as `-5` or `--- yaml`, and no option.
///
/// What can't be an option's name is data, and is put behind `--`. For what could be one, as a misspelt option, there is a
/// hint: to publish it would be worse than to ask.
enum DashedData {
    /// Those that take a value, which may be anything.
    private static let valued: Set<String> = [
        "--topic", "--client", "--event", "--key", "--maxlen", "--ttl", "--once", "--url", "--redis", "--prefix",
        "--token", "--ca", "--redis-cert", "--redis-key", "--wait",
    ]

    private static let flags: Set<String> = ["--all", "--end", "--no-log", "--plain", "--quiet", "-q", "--help", "-h"]

    static func separated(_ arguments: [String]) -> [String] {
        guard isPublish(arguments), let last = arguments.last, beginsWithDash(last), !looksLikeOption(last),
            !valued.contains(arguments[arguments.count - 2])
        else { return arguments }
        return arguments.dropLast() + ["--", last]
    }

    static func hint(_ arguments: [String]) -> String? {
        let options = flags.union(valued)
        let isKnown = arguments.dropFirst().allSatisfy { argument in
            !beginsWithDash(argument) || options.contains(String(argument.prefix { $0 != "=" }))
        }
        return isKnown || !isPublish(arguments)
            ? nil : "data that begins with a dash comes last, behind -- as in: sluice publish --topic t -- -x"
    }

    private static func isPublish(_ arguments: [String]) -> Bool {
        arguments.count > 1 && arguments[0] == "publish" && !arguments.contains("--")
    }

    private static func beginsWithDash(_ argument: String) -> Bool { argument.hasPrefix("-") && argument != "-" }

    /// `-x`, `-xyz`, `--name`, `--name=value`.
    private static func looksLikeOption(_ argument: String) -> Bool {
        let name = argument.drop { $0 == "-" }
        let dashes = argument.count - name.count
        let word = name.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
        guard name.first?.isLetter == true, name.first?.isASCII == true else { return false }
        return dashes <= 2 && (word.endIndex == name.endIndex || (dashes == 2 && name[word.endIndex] == "="))
    }
}
