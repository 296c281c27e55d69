// SPDX-License-Identifier: Apache-2.0

extension SentinelRound.Answer {
    /// What a Sentinel answered when it was asked for the address.
    package init(_ result: Result<RESPValue, any Error>) {
        switch result {
        case .success(.null): self = .noSuchMaster
        case .success(let reply):
            guard let words = reply.array, words.count == 2, let host = words[0].string,
                let port = words[1].string.flatMap({ Int($0) }), (1...65535).contains(port)
            else {
                self = .failed("an unexpected answer")
                return
            }
            self = .master(RedisAddress(host: host, port: port))
        case .failure(let error): self = .failed("\(error)")
        }
    }
}
