// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What this process holds and has used, as the kernel says: read anew each time.
package struct ProcessStatus: Sendable {
    package let openDescriptors: Int
    package let maxDescriptors: Int
    package let residentBytes: Int
    package let cpuSeconds: Double
    /// In seconds since 1970.
    package let startTime: Double

    /// Takes some milliseconds where there are many descriptors, which are counted one by one: not for an event loop.
    package static func read() -> ProcessStatus {
        let stat = fields(ofStat: text(ofFile: "/proc/self/stat"))
        let ticks = Double(max(sysconf(CInt(_SC_CLK_TCK)), 1))
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        var cpu = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu)
        // Counted from the third field on: start time is the 22nd, resident pages the 24th (proc_pid_stat(5)).
        return ProcessStatus(
            openDescriptors: countDescriptors(), maxDescriptors: Int(clamping: limit.rlim_cur),
            residentBytes: Int(number(stat, 21)) * sysconf(CInt(_SC_PAGESIZE)),
            cpuSeconds: Double(cpu.tv_sec) + Double(cpu.tv_nsec) / 1e9,
            startTime: bootTime + number(stat, 19) / ticks)
    }

    /// The fields behind the command's name, in which anything may be.
    private static func fields(ofStat text: String) -> [Substring] {
        guard let end = text.lastIndex(of: ")") else { return [] }
        return text[end...].dropFirst().split(separator: " ")
    }

    private static func number(_ fields: [Substring], _ index: Int) -> Double {
        fields.indices.contains(index) ? Double(fields[index]) ?? 0 : 0
    }

    /// In seconds since 1970; does not change.
    private static let bootTime: Double = {
        let line = text(ofFile: "/proc/stat").split(separator: "\n").first { $0.hasPrefix("btime ") }
        return line.flatMap { Double($0.dropFirst(6)) } ?? 0
    }()

    private static func countDescriptors() -> Int {
        guard let directory = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(directory) }
        var count = 0
        while let entry = readdir(directory) {
            if entry.pointee.d_name.0 != CChar(UInt8(ascii: ".")) { count += 1 }
        }
        // Without the one that reads.
        return max(count - 1, 0)
    }

    private static func text(ofFile path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = Glibc.read(descriptor, &piece, piece.count)
            guard count > 0 else { break }
            bytes += piece.prefix(count)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
