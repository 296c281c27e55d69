// SPDX-License-Identifier: Apache-2.0
import CHiredis

/// How hiredis makes replies for a ``RESPReader``: with its own functions, but for one.
///
/// It takes memory for all elements that an array announces, before the first has come: 15 GB for
/// `*1888888888`. Here an array that can't fit the reader's limit is refused first.
enum ReplyFunctions {
    /// `+` CR LF.
    private static let elementBytesMin = 3

    private static let standard: redisReplyObjectFunctions = {
        guard let reader = redisReaderCreate() else {
            fatalError("out of memory: redisReaderCreate")  // as every allocation of Swift itself would end
        }
        defer { redisReaderFree(reader) }
        return reader.pointee.fn.pointee
    }()

    // Filled before anybody has it; hiredis only reads it.
    nonisolated(unsafe) private static let bounded: UnsafeMutablePointer<redisReplyObjectFunctions> = {
        let functions = UnsafeMutablePointer<redisReplyObjectFunctions>.allocate(capacity: 1)
        functions.initialize(to: standard)
        functions.pointee.createArray = { task, count in
            let replyBytesMax = Int(bitPattern: task?.pointee.privdata)
            guard count <= replyBytesMax / ReplyFunctions.elementBytesMin else { return nil }
            return ReplyFunctions.standard.createArray(task, count)
        }
        return functions
    }()

    /// To be called before the reader is fed.
    static func bound(_ reader: UnsafeMutablePointer<redisReader>, replyBytesMax: Int) {
        reader.pointee.fn = bounded
        reader.pointee.privdata = UnsafeMutableRawPointer(bitPattern: replyBytesMax)
    }
}
