package traffic

import (
	"bytes"
	"errors"
	"io"
)

const (
	firstBuffer = 2 << 10
	bodyBuffer  = 64 << 10 // for bodies that do not fit the first
	maxHead     = 32 << 10
	maxLine     = 4 << 10 // of a chunk's size or a trailer
)

var errHeadTooLarge = errors.New("head is larger than 32 KiB")

// stream reads HTTP messages from a connection through one buffer. What it
// returns points into the buffer and is valid until its next call.
type stream struct {
	from io.Reader
	buf  []byte
	r, w int
	read uint64 // bytes since the beginning
}

func (s *stream) buffered() []byte { return s.buf[s.r:s.w] }

// fill reads at least one more byte behind what is buffered, in a buffer of up to limit.
func (s *stream) fill(limit int) error {
	switch {
	case s.r == s.w:
		s.r, s.w = 0, 0
	case s.w == len(s.buf) && s.r > 0:
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	}
	if s.w == len(s.buf) {
		if s.w >= limit {
			return errHeadTooLarge
		}
		bigger := make([]byte, max(firstBuffer, 2*len(s.buf)))
		copy(bigger, s.buf[:s.w])
		s.buf = bigger
	}
	n, err := s.from.Read(s.buf[s.w:])
	s.w += n
	s.read += uint64(n)
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// until returns the bytes up to and including end. io.EOF means that the stream
// ended before the first byte, io.ErrUnexpectedEOF that it ended in between.
func (s *stream) until(end []byte, limit int) ([]byte, error) {
	scanned := 0
	for {
		if i := bytes.Index(s.buf[s.r+scanned:s.w], end); i >= 0 {
			b := s.buf[s.r : s.r+scanned+i+len(end)]
			s.r += len(b)
			return b, nil
		}
		n := s.w - s.r
		if bareLF(s.buf[s.r:s.w]) {
			return nil, malformed("a line does not end in CRLF")
		}
		if n >= limit {
			return nil, errHeadTooLarge
		}
		scanned = max(0, n-len(end)+1)
		if err := s.fill(limit); err != nil {
			return nil, inside(n > 0, err)
		}
	}
}

// bareLF finds what would otherwise let a reader wait for ever for an empty line.
func bareLF(b []byte) bool {
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			return false
		}
		if i == 0 || b[i-1] != '\r' {
			return true
		}
		b = b[i+1:]
	}
}

func inside(begun bool, err error) error {
	if begun && errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// head returns the next message's head with its empty line.
func (s *stream) head() ([]byte, error) { return s.until([]byte("\r\n\r\n"), maxHead) }

// skipEmptyLine drops one empty line before a request, RFC 9112, 2.2.
func (s *stream) skipEmptyLine() {
	if b := s.buffered(); len(b) >= 2 && b[0] == '\r' && b[1] == '\n' {
		s.r += 2
	}
}

// body reads a body that a length or chunks delimit and hands it to sink, which
// may be nil.
func (s *stream) body(f framing, sink func([]byte)) error {
	if !f.chunked {
		return s.take(max(f.length, 0), sink)
	}
	for {
		line, err := s.until([]byte("\r\n"), maxLine)
		if err != nil {
			return inside(true, err)
		}
		n, err := parseChunkSize(line[:len(line)-2])
		if err != nil {
			return err
		}
		if n == 0 {
			return s.trailer()
		}
		if err := s.take(n, sink); err != nil {
			return err
		}
		if line, err = s.until([]byte("\r\n"), maxLine); err != nil || len(line) != 2 {
			return inside(true, errors.Join(err, noChunkEnd(line)))
		}
	}
}

func noChunkEnd(line []byte) error {
	if len(line) > 2 {
		return malformed("a chunk does not end in CRLF")
	}
	return nil
}

func (s *stream) trailer() error {
	for range 64 {
		line, err := s.until([]byte("\r\n"), maxLine)
		if err != nil {
			return inside(true, err)
		}
		if len(line) == 2 {
			return nil
		}
		if _, _, err := parseField(line[:len(line)-2]); err != nil {
			return err
		}
	}
	return malformed("more than 64 trailers")
}

func (s *stream) take(n int64, sink func([]byte)) error {
	for n > 0 {
		if s.r == s.w {
			if n > int64(len(s.buf)) && len(s.buf) < bodyBuffer {
				s.buf, s.r, s.w = make([]byte, bodyBuffer), 0, 0
			}
			if err := s.fill(bodyBuffer); err != nil {
				return inside(true, err)
			}
		}
		b := s.buffered()
		if int64(len(b)) > n {
			b = b[:n]
		}
		if sink != nil {
			sink(b)
		}
		s.r += len(b)
		n -= int64(len(b))
	}
	return nil
}

// drain reads until the stream ends.
func (s *stream) drain() error {
	for {
		s.r = s.w
		if err := s.fill(bodyBuffer); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}
