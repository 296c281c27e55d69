// SPDX-License-Identifier: Apache-2.0
import Glibc
import SluiceCore

/// A file with a secret that nobody else may read.
enum SecretFile {
    /// 64 random bytes: as long as the longest hash that signs tokens.
    private static let secretBytes = 64

    /// The secret is text, so that it can be copied, and its line's end is no part of it.
    ///
    /// - Throws: ``Failure``, also if the file is there already: a secret that is in use must not be lost.
    static func make(_ path: String) throws(Failure) {
        var generator = SystemRandomNumberGenerator()
        let secret = (0..<secretBytes).map { _ in UInt8.random(in: 0...255, using: &generator) }
        let line = Array((Base64URL.encode(secret) + "\n").utf8)
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        defer { if file >= 0 { close(file) } }
        guard file >= 0, write(file, line, line.count) == line.count else {
            throw Failure("\(path): \(String(cString: strerror(errno)).lowercased())")
        }
    }
}
