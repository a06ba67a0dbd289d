package l7

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// errands are exchanges that last until they are told to end: a request whose answer is long in coming, an answer that
// is long, and a tunnel in which both sides speak. Whoever lets processes finish must let these.
type errands struct {
	finish  chan struct{}
	results chan error
	running int
}

func newErrands() *errands {
	return &errands{finish: make(chan struct{}), results: make(chan error, 100)}
}

// beat is how often those speak that have something to say.
const beat = 20 * time.Millisecond

// serve is the backend's side. What is no errand is answered at once.
func (e *errands) serve(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/slow":
		select {
		case <-e.finish:
		case <-r.Context().Done():
		}
		io.WriteString(w, "at last")
	case "/long":
		e.serveLong(w, r)
	case "/ws":
		serveWebSocket(w, r)
	default:
		io.WriteString(w, "hello")
	}
}

// serveLong counts, a line for each beat, and ends with a line that says so.
func (e *errands) serveLong(w http.ResponseWriter, r *http.Request) {
	for i := 0; ; i++ {
		fmt.Fprintln(w, i)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-e.finish:
			io.WriteString(w, "end\n")
			return
		case <-r.Context().Done():
			return
		case <-time.After(beat):
		}
	}
}

// start sends one of each on its way, and returns when the backend has all of them. when says, in errors, since when.
func (e *errands) start(t *testing.T, s *lb.Service, when string) {
	t.Helper()
	for name, run := range map[string]func(c net.Conn, in *bufio.Reader, begun chan<- struct{}) error{
		"slow answer": e.slow, "long answer": e.long, "tunnel": e.tunnel,
	} {
		c, begun, result := rawDial(t, s.VIP.Addr), make(chan struct{}, 1), make(chan error, 1)
		c.SetDeadline(time.Time{})
		go func() {
			defer c.Close()
			result <- run(c, bufio.NewReader(c), begun)
		}()
		e.running++
		select {
		case <-begun:
		case err := <-result:
			t.Fatalf("%s, %s, does not begin: %v", name, when, err)
		}
		go func() {
			err := <-result
			if err != nil {
				err = fmt.Errorf("%s, begun %s: %w", name, when, err)
			}
			e.results <- err
		}()
	}
}

// end has all of them end, and fails for each that broke.
func (e *errands) end(t *testing.T) {
	t.Helper()
	close(e.finish)
	for range e.running {
		select {
		case err := <-e.results:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("an errand does not end")
		}
	}
}

func (e *errands) slow(c net.Conn, in *bufio.Reader, begun chan<- struct{}) error {
	if _, err := io.WriteString(c, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return err
	}
	begun <- struct{}{}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	return expect(resp, "at last")
}

func (e *errands) long(c net.Conn, in *bufio.Reader, begun chan<- struct{}) error {
	if _, err := io.WriteString(c, "GET /long HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	lines := bufio.NewReader(resp.Body)
	for i := 0; ; i++ {
		line, err := lines.ReadString('\n')
		switch {
		case err != nil:
			return fmt.Errorf("line %d: %w", i, err)
		case line == "end\n":
			_, err = lines.ReadByte()
			if err == io.EOF {
				err = nil
			}
			return err
		case line != fmt.Sprintln(i):
			return fmt.Errorf("line %d is %q", i, line)
		}
		if i == 0 {
			begun <- struct{}{}
		}
	}
}

func (e *errands) tunnel(c net.Conn, in *bufio.Reader, begun chan<- struct{}) error {
	if _, err := io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("status %s", resp.Status)
	}
	for i := 0; ; i++ {
		op, text := byte(opText), fmt.Append(nil, "beat ", i)
		select {
		case <-e.finish:
			op, text = opClose, []byte{3, 232}
		case <-time.After(beat):
		}
		if _, err := c.Write(appendFrame(nil, op, 0x01020304, text)); err != nil {
			return fmt.Errorf("frame %d: %w", i, err)
		}
		gotOp, got, err := readFrame(in)
		if err == nil && (gotOp != op || !bytes.Equal(got, text)) {
			err = fmt.Errorf("op %d, %q", gotOp, got)
		}
		if err != nil {
			return fmt.Errorf("echo of frame %d: %w", i, err)
		}
		if op == opClose {
			return nil
		}
		if i == 0 {
			begun <- struct{}{}
		}
	}
}

// expect reads the body of an answer that is to be 200.
func expect(resp *http.Response, body string) error {
	got, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || string(got) != body) {
		err = errors.New(resp.Status + ": " + string(got))
	}
	return err
}
