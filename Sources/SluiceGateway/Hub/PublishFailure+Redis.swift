// SPDX-License-Identifier: Apache-2.0
import SluiceRedis

extension PublishFailure {
    /// What a publisher is told of an error of Redis.
    init(redis error: any Error) {
        self =
            switch error {
            case let failure as PublishFailure: failure
            case RedisError.refused(let message):
                switch RedisRefusal(message) {
                case .function: .refused(message)
                // To try again later would help nobody before somebody has put Redis right.
                case .wrongtype:
                    .conflict("a key of this event in Redis (its log, its marker, the clock) is of another type")
                case .other where message.contains("XADD"):
                    .conflict("the log in Redis has an entry with a later id, which the clock did not give out")
                // A state of Redis, as LOADING, READONLY, OOM or NOPERM, not a fault of the request.
                default: .unavailable(message)
                }
            case RedisError.lost(let reason): .unknown("the connection to Redis was lost: \(reason)")
            default: .unavailable("\(error)")
            }
    }
}
