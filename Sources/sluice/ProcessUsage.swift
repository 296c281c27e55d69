// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What some processes of this machine have used so far, from /proc.
struct ProcessUsage: Sendable {
    struct Unreadable: Error, CustomStringConvertible {
        let description: String
    }

    /// Seconds of CPU time.
    var user = 0.0
    var system = 0.0
    /// Bytes of memory, pages shared with others counted in part (Pss).
    var memory = 0

    init() {}

    /// The sum over the processes.
    init(of processes: [Int32]) throws {
        for process in processes {
            let (user, system) = try ProcessUsage.time(of: process)
            self.user += user
            self.system += system
            memory += try ProcessUsage.memory(of: process)
        }
    }

    /// Of this process itself, without its memory.
    static func ownTime() -> Double {
        var usage = rusage()
        guard getrusage(RUSAGE_SELF.rawValue, &usage) == 0 else { return 0 }
        let seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
        return Double(seconds) + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
    }

    /// proc(5): the 14th and 15th field of `stat`; the second, the command's name in parentheses, may hold anything.
    private static func time(of process: Int32) throws -> (user: Double, system: Double) {
        let text = try read("/proc/\(process)/stat")
        let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else {
            throw Unreadable(description: "/proc/\(process)/stat is not as proc(5) has it")
        }
        let ticksPerSecond = Double(sysconf(Int32(_SC_CLK_TCK)))
        return (user / ticksPerSecond, system / ticksPerSecond)
    }

    private static func memory(of process: Int32) throws -> Int {
        let text = try read("/proc/\(process)/smaps_rollup")
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("Pss:") }),
            let kibibytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { throw Unreadable(description: "/proc/\(process)/smaps_rollup has no Pss") }
        return kibibytes * 1024
    }

    private static func read(_ path: String) throws -> String {
        guard let file = fopen(path, "r") else {
            throw Unreadable(description: "can't read \(path): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 16_384)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
