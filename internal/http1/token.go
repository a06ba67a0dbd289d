package http1

// ValidToken says whether b is a token (RFC 9110 5.6.2).
func ValidToken[T bytesOrString](b T) bool {
	for i := range len(b) {
		if chars[b[i]]&tchar == 0 {
			return false
		}
	}
	return len(b) > 0
}

// NextElement takes the first element, without whitespace around it, off a comma
// list (RFC 9110 5.6.1) that has no quoted strings. Elements may be empty.
func NextElement(list []byte) (element, rest []byte) {
	end := 0
	for end < len(list) && list[end] != ',' {
		end++
	}
	element, rest = list[:end], list[min(end+1, len(list)):]
	for len(element) > 0 && isOWS(element[0]) {
		element = element[1:]
	}
	for len(element) > 0 && isOWS(element[len(element)-1]) {
		element = element[:len(element)-1]
	}
	return element, rest
}

// HasToken says whether a comma list has a token, which must be in lower case;
// the list's may be in any.
func HasToken(list []byte, token string) bool {
	for len(list) > 0 {
		var e []byte
		if e, list = NextElement(list); equalFold(e, token) {
			return true
		}
	}
	return false
}

func sameFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		if c != b[i] && (c^b[i] != 0x20 || (c|0x20)-'a' >= 26) {
			return false
		}
	}
	return true
}
