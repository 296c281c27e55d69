<?php
// SPDX-License-Identifier: Apache-2.0

/** Channel and log of "topic:news", "client:ann" or "all" in a cluster, then the other keys of `FCALL sluice_publish`. */
function sluice_names(string $target, ?string $once = null, string $prefix = 'sluice'): array
{
    $crc = 0;
    foreach (unpack('C*', $target) as $byte) {
        $crc ^= $byte << 8;
        for ($bit = 0; $bit < 8; $bit++) $crc = ($crc & 0x8000 ? $crc << 1 ^ 0x1021 : $crc << 1) & 0xFFFF;
    }
    $base = $prefix . ':{' . $crc % 16 * 50 . '}';
    $names = ["$base:$target", "$base:last:$target", "$base:clock"];
    return $once === null ? $names : [...$names, "$base:once:$target $once"];
}
