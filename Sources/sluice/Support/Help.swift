// SPDX-License-Identifier: Apache-2.0

/// What `--help` says of each command beside its options: the files in `Help`.
enum Help {
    static let bench = text(PackageResources.bench_txt)
    static let publish = text(PackageResources.publish_txt)
    static let serve = text(PackageResources.serve_txt)
    static let subscribe = text(PackageResources.subscribe_txt)
    static let token = text(PackageResources.token_txt)

    private static func text(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.dropLast(), as: UTF8.self)
    }
}
