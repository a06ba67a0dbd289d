package http1

// validHost says whether b is uri-host [ ":" port ] (RFC 9110 7.2, RFC 3986
// 3.2.2) with a host that is not empty (RFC 9110 4.2.1) and a port of at most 65535.
func validHost(b []byte) bool {
	if len(b) > 0 && b[0] == '[' {
		return validLiteral(b)
	}
	i := 0
	for {
		i = skip(b, i, regname)
		if i == len(b) || b[i] != '%' {
			break
		}
		if i+2 >= len(b) || chars[b[i+1]]&chars[b[i+2]]&hexdigit == 0 {
			return false
		}
		i += 3
	}
	return i > 0 && validPort(b[i:])
}

// validPort takes what follows a host: nothing, or a colon and digits. The port may
// be empty (RFC 3986 3.2.3).
func validPort(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if b[0] != ':' || len(b) > 6 {
		return false
	}
	n := 0
	for _, c := range b[1:] {
		if !isDigit(c) {
			return false
		}
		n = n*10 + int(c-'0')
	}
	return n <= 65535
}

// hasPort says whether a valid host has a port that is not empty.
func hasPort(b []byte) bool {
	i := len(b) - 1
	for i >= 0 && isDigit(b[i]) {
		i--
	}
	return i >= 0 && b[i] == ':' && i < len(b)-1
}

func validLiteral(b []byte) bool {
	for i, c := range b {
		if c == ']' {
			return validIPv6(b[1:i]) && validPort(b[i+1:])
		}
	}
	return false
}

// validIPv6 reads RFC 3986's IPv6address: eight groups of one to four
// hexadecimal digits, one run of which may be "::", and the last two of which may
// be an IPv4 address. It has no zone.
func validIPv6(b []byte) bool {
	groups, gap := 0, false
	for i := 0; i < len(b); {
		end := skip(b, i, hexdigit)
		switch {
		case end < len(b) && b[end] == '.':
			return validIPv4(b[i:]) && complete(groups+2, gap)
		case end-i > 4:
			return false
		case end > i:
			groups++
			if end == len(b) {
				return complete(groups, gap)
			}
			if b[end] != ':' || end+1 == len(b) {
				return false
			}
			i = end + 1
			if b[i] != ':' {
				continue
			}
			i-- // at the first colon of "::"
		case i > 0:
			return false
		}
		if gap || i+1 >= len(b) || b[i] != ':' || b[i+1] != ':' {
			return false
		}
		gap = true
		if i += 2; i == len(b) {
			return complete(groups, gap)
		}
	}
	return false
}

// complete says whether so many groups are an address; "::" stands for one at
// least.
func complete(groups int, gap bool) bool {
	return groups < 8 == gap && groups <= 8
}

func validIPv4(b []byte) bool {
	for part := range 4 {
		n, digits := 0, 0
		for len(b) > 0 && isDigit(b[0]) && digits < 3 {
			n, digits, b = n*10+int(b[0]-'0'), digits+1, b[1:]
		}
		if digits == 0 || n > 255 || digits > 1 && n < 10 || digits > 2 && n < 100 {
			return false
		}
		if part == 3 {
			return len(b) == 0
		}
		if len(b) == 0 || b[0] != '.' {
			return false
		}
		b = b[1:]
	}
	return false
}
