package l4

import (
	"bytes"
)

// Offsets into an Ethernet frame with an IPv6 header, and of UDP in either family.
const (
	at6Length     = 18
	at6NextHeader = 20
	at6Transport  = 54
	at4UDPLength  = 38
	at6UDPLength  = 58
)

// extended puts 8 bytes of an IPv6 extension header before the transport header.
func extended(number byte, rest ...byte) func([]byte) []byte {
	return func(p []byte) []byte {
		header := append([]byte{p[at6NextHeader], 0}, rest...)
		out := append(bytes.Clone(p[:at6Transport]), append(header, make([]byte, 8-len(header))...)...)
		out[at6NextHeader] = number
		out[at6Length+1] += 8
		return append(out, p[at6Transport:]...)
	}
}
