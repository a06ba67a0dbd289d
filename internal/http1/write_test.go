package http1

// appendRequestLine appends a request line of HTTP/1.minor, 0 or 1. Method and
// target must be valid.
func appendRequestLine[M, T bytesOrString](dst []byte, method M, target T, minor uint8) []byte {
	dst = append(dst, method...)
	dst = append(dst, ' ')
	dst = append(dst, target...)
	if minor == 0 {
		return append(dst, " HTTP/1.0\r\n"...)
	}
	return append(dst, " HTTP/1.1\r\n"...)
}

// appendChunk appends a chunk, nothing if data is empty.
func appendChunk(dst, data []byte) []byte {
	if len(data) == 0 {
		return dst
	}
	dst = AppendChunkHead(dst, uint64(len(data)))
	dst = append(dst, data...)
	return append(dst, "\r\n"...)
}

// validField says whether a field line made of name and value would be read as
// just these.
func validField[N, V bytesOrString](name N, value V) bool {
	for i := range len(value) {
		if chars[value[i]]&text == 0 {
			return false
		}
	}
	return ValidToken(name) && (len(value) == 0 || !isOWS(value[0]) && !isOWS(value[len(value)-1]))
}
