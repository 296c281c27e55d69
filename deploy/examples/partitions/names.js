// SPDX-License-Identifier: Apache-2.0

/** Channel and log of "topic:news", "client:ann" or "all" in a cluster, then the other keys of `FCALL sluice_publish`. */
function sluiceNames(target, once, prefix = "sluice") {
  let crc = 0;
  for (const byte of new TextEncoder().encode(target)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  }
  const base = `${prefix}:{${(crc & 15) * 50}}`;
  const names = [`${base}:${target}`, `${base}:last:${target}`, `${base}:clock`];
  return once ? [...names, `${base}:once:${target} ${once}`] : names;
}

module.exports = { sluiceNames };
