package supervise

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// A frame is eight bytes, the length of the body and the number of files in
// network order, and the body. The files come with the first byte, so whoever
// reads a frame at a time never gets those of another.
const (
	headerSize = 8
	maxBody    = 64 << 20
	maxFiles   = 253 // SCM_MAX_FD of the kernel
)

var errFrame = errors.New("frame is malformed")

type frame struct {
	body  []byte
	files []*os.File
}

func (f frame) close() {
	for _, file := range f.files {
		file.Close()
	}
}

// source is a stream whose bytes may come with files.
type source interface {
	io.Reader
	readFiles(p []byte) (n int, files []*os.File, err error)
}

// readFrame returns io.EOF only between frames. On an error no file stays open.
func readFrame(s source) (f frame, err error) {
	defer func() {
		if err != nil {
			f.close()
			f = frame{}
		}
	}()
	var header [headerSize]byte
	n, files, err := s.readFiles(header[:])
	f.files = files
	if err != nil {
		return f, err
	}
	if _, err := io.ReadFull(s, header[n:]); err != nil {
		return f, io.ErrUnexpectedEOF
	}
	size, count := binary.BigEndian.Uint32(header[:4]), binary.BigEndian.Uint32(header[4:])
	if size > maxBody || count > maxFiles || int(count) != len(files) {
		return f, fmt.Errorf("read frame of %d bytes and %d files, %d of which came: %w", size, count, len(files), errFrame)
	}
	f.body, err = readBody(s, int(size))
	return f, err
}

// readBody takes memory as bytes come, not as they are announced.
func readBody(r io.Reader, size int) ([]byte, error) {
	const step = 64 << 10
	body := make([]byte, 0, min(size, step))
	for len(body) < size {
		if len(body) == cap(body) {
			body = append(make([]byte, 0, min(size, 2*cap(body))), body...)
		}
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err != nil && len(body) < size {
			return nil, io.ErrUnexpectedEOF
		}
	}
	return body, nil
}

// unixSource is the source that a link reads.
type unixSource struct{ *net.UnixConn }

func (u unixSource) readFiles(p []byte) (n int, files []*os.File, err error) {
	control := make([]byte, unix.CmsgSpace(4*maxFiles))
	n, size, _, _, err := u.ReadMsgUnix(p, control)
	if size == 0 {
		return n, nil, err
	}
	messages, parseErr := unix.ParseSocketControlMessage(control[:size])
	for i := range messages {
		fds, rightsErr := unix.ParseUnixRights(&messages[i])
		parseErr = errors.Join(parseErr, rightsErr)
		for _, fd := range fds {
			f, err := unpolled(fd, "received")
			if err != nil {
				parseErr = errors.Join(parseErr, err)
				continue
			}
			files = append(files, f)
		}
	}
	return n, files, errors.Join(err, parseErr)
}

// writeFrame writes the frame whole or breaks the stream. The files stay the
// caller's.
func writeFrame(c *net.UnixConn, body []byte, files []*os.File) error {
	if len(body) > maxBody || len(files) > maxFiles {
		return fmt.Errorf("write frame of %d bytes and %d files: %w", len(body), len(files), errFrame)
	}
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	header := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	header = binary.BigEndian.AppendUint32(header, uint32(len(files)))
	n, _, err := c.WriteMsgUnix(header, rights, nil)
	if err == nil {
		_, err = (&net.Buffers{header[n:], body}).WriteTo(c)
	}
	return err
}
