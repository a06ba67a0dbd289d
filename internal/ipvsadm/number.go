package ipvsadm

import (
	"net/netip"
	"strconv"
	"strings"
)

// number reads a decimal number as strtol does, blanks and a sign in front
// allowed, nothing behind.
func number(s string, lowest, highest int64) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimPrefix(unsigned(s), "+"), 10, 64)
	return n, err == nil && lowest <= n && n <= highest
}

// unsigned drops blanks in front, and makes "+-1" unreadable.
func unsigned(s string) string {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	if strings.HasPrefix(s, "+-") || strings.HasPrefix(s, "++") {
		return ""
	}
	return s
}

// leading reads the number that a word begins with, as atoi does; 0 if none.
func leading(s string) int64 {
	s = unsigned(s)
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || end == 0 && (s[0] == '-' || s[0] == '+')) {
		end++
	}
	n, err := strconv.ParseInt(strings.TrimPrefix(s[:end], "+"), 10, 32)
	if err != nil {
		return 0
	}
	return n
}

// dotted reads an IPv4 address as inet_aton does: one to four numbers, decimal,
// octal or hexadecimal, the last of which fills the bytes that are left.
func dotted(s string) (netip.Addr, bool) {
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var value uint64
	for i, p := range parts {
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (5 - len(parts))
		}
		hex := strings.HasPrefix(strings.ToLower(p), "0x")
		if p == "" || p[0] < '0' || p[0] > '9' || strings.Contains(p, "_") || strings.ContainsAny(p, "oObB") && !hex {
			return netip.Addr{}, false // what Go reads and C does not
		}
		n, err := strconv.ParseUint(p, 0, bits)
		if err != nil {
			return netip.Addr{}, false
		}
		value = value<<bits | n
	}
	return netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}), true
}
