package accesslog

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// atomicWrite is PIPE_BUF: what a pipe takes whole or not at all.
const atomicWrite = 4096

// file is what a sink writes to: a file, a FIFO or a terminal.
type file struct {
	path string
	fd   int  // -1: not open
	pipe bool // takes at most atomicWrite at once, or others come in between
	mid  bool // what was written last is no whole line
	torn bool // nor will it be
}

// Check opens a path as a sink does, and so makes the file. It is for whoever
// refuses a configuration before it is in force.
func Check(path string) error {
	f := file{path: path, fd: -1}
	if err := f.reopen(); err != nil && !errors.Is(err, unix.ENXIO) { // a FIFO that nobody reads yet
		return err
	}
	f.close()
	return nil
}

// reopen opens the path, and closes what was open before.
func (f *file) reopen() error {
	// O_NONBLOCK means nothing to a regular file. A FIFO is not waited for with it.
	const flags = unix.O_WRONLY | unix.O_APPEND | unix.O_CREAT | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	fd, err := unix.Open(f.path, flags, 0o640)
	if err != nil {
		return fmt.Errorf("open log %s: %w", f.path, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return fmt.Errorf("open log %s: %w", f.path, err)
	}
	f.close()
	f.fd, f.pipe, f.mid, f.torn = fd, st.Mode&unix.S_IFMT == unix.S_IFIFO, false, false
	return nil
}

func (f *file) close() {
	if f.fd >= 0 {
		unix.Close(f.fd)
		f.fd = -1
	}
}

// write appends whole lines. It returns those that there is no room for yet, and
// how many are lost.
func (f *file) write(b []byte) (rest []byte, lost int) {
	if f.fd < 0 && f.reopen() != nil {
		return nil, count(b)
	}
	if f.torn {
		if _, err := unix.Write(f.fd, []byte("\n")); err != nil {
			return nil, count(b)
		}
		f.torn, f.mid = false, false
	}
	for len(b) > 0 {
		piece := f.piece(b)
		if piece == nil { // of one line
			_, b, _ = bytes.Cut(b, []byte("\n"))
			lost++
			continue
		}
		n, err := unix.Write(f.fd, piece)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return b, lost
		case err != nil:
			f.torn = f.mid
			if f.pipe { // whose reader has gone
				f.close()
			}
			return nil, lost + count(b)
		default:
			f.mid = n > 0 && piece[n-1] != '\n' // the disk is full, which the next write says
			b = b[n:]
		}
	}
	return nil, lost
}

// piece is what is written at once: all, or the lines that a pipe takes whole; nil
// if it does not take one.
func (f *file) piece(b []byte) []byte {
	if !f.pipe || len(b) <= atomicWrite {
		return b
	}
	end := bytes.LastIndexByte(b[:atomicWrite], '\n')
	if end < 0 {
		return nil
	}
	return b[:end+1]
}

func count(lines []byte) int { return bytes.Count(lines, []byte("\n")) }
