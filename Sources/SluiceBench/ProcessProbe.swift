// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What local processes have used, from `/proc`.
package struct ProcessProbe: Sendable {
    /// Seconds of processor time, of all the processes together.
    struct CPUTime: Sendable {
        var user = 0.0
        var system = 0.0

        var total: Double { user + system }

        static func - (left: CPUTime, right: CPUTime) -> CPUTime {
            CPUTime(user: left.user - right.user, system: left.system - right.system)
        }
    }

    struct Unreadable: Error, CustomStringConvertible {
        let description: String
    }

    private let processes: [Int32]

    /// - Parameter text: `PID[,PID]…`, or with spaces as of `pidof`; nil for anything else.
    package init?(_ text: String) {
        let parts = text.split { $0 == "," || $0 == " " }
        processes = parts.compactMap { Int32($0) }.filter { $0 > 0 }
        if processes.isEmpty || processes.count != parts.count { return nil }
    }

    /// - Throws: ``Unreadable`` if one of the processes is gone or not ours to look at.
    func cpuTime() throws(Unreadable) -> CPUTime {
        var sum = CPUTime()
        for process in processes {
            let path = "/proc/\(process)/stat"
            guard let text = ProcessProbe.read(path), let time = ProcessProbe.cpuTime(stat: text) else {
                throw Unreadable(description: "can't read \(path)")
            }
            sum.user += time.user
            sum.system += time.system
        }
        return sum
    }

    /// Memory in KiB: the processes' own pages, and their share of those they share (Pss).
    func memory() throws(Unreadable) -> Int {
        var sum = 0
        for process in processes {
            let path = "/proc/\(process)/smaps_rollup"
            guard let text = ProcessProbe.read(path), let memory = ProcessProbe.memory(rollup: text) else {
                throw Unreadable(description: "can't read \(path)")
            }
            sum += memory
        }
        return sum
    }

    /// What this process has used itself.
    static func ownCPUTime() -> CPUTime {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1_000_000 }
        return CPUTime(user: seconds(usage.ru_utime), system: seconds(usage.ru_stime))
    }

    /// proc_pid_stat(5): fields 14 and 15, counted from behind the name, which may contain anything.
    static func cpuTime(stat text: String) -> CPUTime? {
        guard let name = text.lastIndex(of: ")") else { return nil }
        let fields = text[name...].split(separator: " ").dropFirst()
        guard fields.count > 13, let user = Double(fields[fields.startIndex + 11]),
            let system = Double(fields[fields.startIndex + 12])
        else { return nil }
        let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
        return CPUTime(user: user / ticks, system: system / ticks)
    }

    static func memory(rollup text: String) -> Int? {
        let line = text.split(separator: "\n").first { $0.hasPrefix("Pss:") }
        return line?.split(separator: " ").dropFirst().first.flatMap { Int($0) }
    }

    private static func read(_ path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 8192)
        var length = 0
        while length < bytes.count {
            let count = bytes.withUnsafeMutableBytes {
                Glibc.read(file, $0.baseAddress?.advanced(by: length), $0.count - length)
            }
            if count <= 0 { break }
            length += count
        }
        return length > 0 ? String(decoding: bytes[..<length], as: UTF8.self) : nil
    }
}
