// SPDX-License-Identifier: Apache-2.0
import CLibFuzzer
import Glibc

/// One execution: libFuzzer calls it again and again and keeps the inputs that reached new code.
///
/// The name is what libFuzzer's own `main` is linked against, which the one of this file replaces.
@c(LLVMFuzzerTestOneInput)
func testOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    FuzzTarget.chosen.run(UnsafeRawBufferPointer(start: data, count: count))
    return 0
}

var count = CommandLine.argc
var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
exit(LLVMFuzzerRunDriver(&count, &arguments, testOneInput))
