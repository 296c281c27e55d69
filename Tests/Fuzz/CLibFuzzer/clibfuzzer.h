// SPDX-License-Identifier: Apache-2.0
// What compiler-rt installs as <fuzzer/FuzzerInterface.h>; Swift's toolchains have the library without the header.
#pragma once
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*test_one_input)(const uint8_t *data, size_t size));
