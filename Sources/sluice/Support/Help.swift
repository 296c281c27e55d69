// SPDX-License-Identifier: Apache-2.0

/// What `--help` says of a command beside its options: the files in `Help`.
enum Help {
    static func text(_ file: [UInt8]) -> String { String(decoding: file.dropLast(), as: UTF8.self) }
}
