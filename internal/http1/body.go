package http1

// A Body takes a message's body apart. Start it with what the head said, then give
// Next what arrives. The zero value is the body of a message that has none.
type Body struct {
	Limits *Limits // of the trailer section

	framing  Framing
	state    state
	digits   uint8  // of the chunk size
	ext      uint16 // length of the extensions of this chunk,
	exts     uint16 // and of all
	left     uint64 // of the body by length, or of the chunk
	err      *Error
	raw      []byte // the trailer section
	trailers []Field
	parser   Parser
}

// Start begins a body. Capacity for trailers is used again.
func (b *Body) Start(f Framing, length uint64) {
	b.framing, b.left, b.err = f, length, nil
	b.digits, b.ext, b.exts = 0, 0, 0
	b.state = data
	switch {
	case f == NoBody, f == ByLength && length == 0:
		b.state = ended
	case f == Chunked:
		b.state, b.left = size, 0
		b.raw, b.trailers = b.raw[:0], b.trailers[:0]
		b.parser.Reset()
	}
}

// Next takes from buf: it returns the next piece of payload, a slice of buf that may be
// empty, and how many bytes of buf it used. done says that the body has ended
// with them. If it has not and used < len(buf), call it with the rest. An error
// stays, and used means nothing then; its Status is that of a request's, see Error.ForResponse.
func (b *Body) Next(buf []byte) (payload []byte, used int, done bool, err *Error) {
	switch {
	case b.err != nil:
		return nil, 0, false, b.err
	case b.state == ended:
		return nil, 0, true, nil
	case b.framing == Chunked:
		return b.chunked(buf)
	case b.framing == UntilClose:
		return buf, len(buf), false, nil
	}
	payload = b.take(buf)
	if b.left == 0 {
		b.state = ended
	}
	return payload, len(payload), b.left == 0, nil
}

// take returns the part of buf that b.left covers.
func (b *Body) take(buf []byte) []byte {
	n := min(uint64(len(buf)), b.left)
	b.left -= n
	return buf[:n:n]
}

// Skip takes n bytes of a body by length that went another way than through Next.
// They must not be more than remain.
func (b *Body) Skip(n uint64) {
	if b.left -= n; b.left == 0 {
		b.state = ended
	}
}

// Done says whether the body has ended.
func (b *Body) Done() bool { return b.framing == NoBody || b.state == ended }

// EOF tells the body that the peer has closed. That ends a body UntilClose; within
// another one it is an error.
func (b *Body) EOF() *Error {
	switch {
	case b.err != nil:
		return b.err
	case b.framing == UntilClose:
		b.state = ended
	case !b.Done():
		b.err = ErrTruncated
	}
	return b.err
}

// Remaining returns how many bytes of a body by length are still to come. The
// second result is false for other framings.
func (b *Body) Remaining() (uint64, bool) {
	return b.left, b.framing == ByLength
}

// Trailers returns the fields after a chunked body that is done, until the next
// Start. They are the Body's own copy.
func (b *Body) Trailers() []Field {
	if b.framing != Chunked || b.state != ended {
		return nil
	}
	return b.trailers
}
