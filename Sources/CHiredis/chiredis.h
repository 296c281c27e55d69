// SPDX-License-Identifier: Apache-2.0
// The reader and the formatter of hiredis; nothing of its I/O is used.
#pragma once
#include <hiredis/hiredis.h>
