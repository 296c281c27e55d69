// SPDX-License-Identifier: Apache-2.0

package main

import "fmt"

// SluiceNames are channel and log of "topic:news", "client:ann" or "all" in a cluster, then the other keys of
// `FCALL sluice_publish`. An empty token is none.
func SluiceNames(target, once, prefix string) []string {
	var crc uint16
	for _, b := range []byte(target) {
		crc ^= uint16(b) << 8
		for bit := 0; bit < 8; bit++ {
			crc = crc<<1 ^ crc>>15*0x1021
		}
	}
	base := fmt.Sprintf("%s:{%d}", prefix, crc%16*50)
	names := []string{base + ":" + target, base + ":last:" + target, base + ":clock"}
	if once != "" {
		names = append(names, base+":once:"+target+" "+once)
	}
	return names
}
