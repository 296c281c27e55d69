// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Reads whole files, small ones, at the start of the program.
package enum FileContent {
    private static let bytesMax = 8 << 20

    /// `description` goes on a sentence that began with the file's name.
    package struct Unreadable: Error, CustomStringConvertible {
        package let description: String
    }

    package static func bytes(ofFile path: String) throws(Unreadable) -> [UInt8] {
        guard let file = fopen(path, "r") else {
            throw Unreadable(description: "can't be read: \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 65536)
        while bytes.count <= bytesMax {
            let count = fread(&part, 1, part.count, file)
            if count == 0 { break }
            bytes += part[..<count]
        }
        if ferror(file) != 0 { throw Unreadable(description: "can't be read: \(String(cString: strerror(errno)))") }
        guard bytes.count <= bytesMax else { throw Unreadable(description: "has more than 8 MiB") }
        return bytes
    }
}
