package supervise

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"testing"
	"testing/iotest"
)

// bytesSource is a stream whose first bytes come with files.
type bytesSource struct {
	io.Reader
	files int
}

func (b bytesSource) readFiles(p []byte) (n int, files []*os.File, err error) {
	n, err = b.Read(p)
	for range b.files {
		r, w, pipeErr := os.Pipe()
		if pipeErr != nil {
			return 0, nil, pipeErr
		}
		w.Close()
		files = append(files, r)
	}
	return n, files, err
}

func frameBytes(size, files uint32, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, size)
	return append(binary.BigEndian.AppendUint32(b, files), body...)
}

func TestReadFrame(t *testing.T) {
	for _, c := range []struct {
		name  string
		in    []byte
		files int
		body  string
		err   error
	}{
		{"nothing", nil, 0, "", io.EOF},
		{"empty body", frameBytes(0, 0, ""), 0, "", nil},
		{"a body", frameBytes(5, 0, "hello, more"), 0, "hello", nil},
		{"a body and files", frameBytes(5, 2, "hello"), 2, "hello", nil},
		{"half a header", frameBytes(5, 0, "")[:6], 0, "", io.ErrUnexpectedEOF},
		{"half a body", frameBytes(5, 0, "hel"), 1, "", errFrame},
		{"half a body, no files", frameBytes(5, 0, "hel"), 0, "", io.ErrUnexpectedEOF},
		{"too long a body", frameBytes(maxBody+1, 0, ""), 0, "", errFrame},
		{"announced, not there", frameBytes(maxBody, 0, "x"), 0, "", io.ErrUnexpectedEOF},
		{"too many files", frameBytes(0, maxFiles+1, ""), 0, "", errFrame},
		{"files missing", frameBytes(0, 2, ""), 1, "", errFrame},
		{"files too many", frameBytes(0, 0, ""), 1, "", errFrame},
	} {
		for how, r := range map[string]io.Reader{"at once": bytes.NewReader(c.in), "by the byte": iotest.OneByteReader(bytes.NewReader(c.in))} {
			open := openFiles(t)
			f, err := readFrame(bytesSource{r, c.files})
			if !errors.Is(err, c.err) || string(f.body) != c.body {
				t.Errorf("%s, %s: body %q, %v; want %q, %v", c.name, how, f.body, err, c.body, c.err)
			}
			if err == nil && len(f.files) != c.files {
				t.Errorf("%s, %s: %d files, want %d", c.name, how, len(f.files), c.files)
			}
			f.close()
			if now := openFiles(t); now != open {
				t.Errorf("%s, %s: %d files are left open", c.name, how, now-open)
			}
		}
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add(frameBytes(5, 0, "hello"), uint8(0))
	f.Add(append(frameBytes(2, 0, "{}"), frameBytes(3, 0, "abc")...), uint8(0))
	f.Add(frameBytes(5, 1, "hello"), uint8(1))
	f.Add(frameBytes(maxBody, 0, "hello"), uint8(0))
	f.Fuzz(func(t *testing.T, in []byte, files uint8) {
		s := bytesSource{iotest.HalfReader(bytes.NewReader(in)), int(files % 4)}
		for read := 0; ; {
			got, err := readFrame(s)
			if err != nil {
				if got.body != nil || got.files != nil {
					t.Fatalf("an error and a frame: %v, %v", err, got)
				}
				return
			}
			if want := in[read+headerSize : read+headerSize+len(got.body)]; !bytes.Equal(got.body, want) {
				t.Fatalf("body = %q, want %q", got.body, want)
			}
			if len(got.files) != s.files {
				t.Fatalf("%d files, want %d", len(got.files), s.files)
			}
			read += headerSize + len(got.body)
			got.close()
		}
	})
}

func openFiles(t testing.TB) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}
