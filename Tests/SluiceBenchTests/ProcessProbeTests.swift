// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import SluiceBench

@Suite struct ProcessProbeTests {
    @Test func readsWhatTheKernelWrites() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 1 2 3"
        let time = ProcessProbe.cpuTime(stat: stat)
        #expect(time?.user == 2.5 && time?.system == 0.5)
        #expect(
            ProcessProbe.memory(rollup: "55-7f ---p 00 00:00 0 [rollup]\nRss:  9 kB\nPss:   1234 kB\nPss_Dirty: 1 kB\n")
                == 1234)
    }
}
