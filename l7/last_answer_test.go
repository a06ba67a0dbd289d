package l7

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// The last answer of a connection goes together with its end; neither waits for the other.
func TestTheLastAnswerComesAtOnceAndWhole(t *testing.T) {
	for _, size := range []int{0, 1, 10_000, 1 << 20} {
		l := newLab(t)
		answer := randomBytes(size)
		l.backend(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(size))
			w.Write(answer)
		})
		s := l.service("web", lb.RoundRobin)
		l.apply()
		took := quickest(5, func() {
			c := rawDial(t, s.VIP.Addr)
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
			if got, err := io.ReadAll(c); err != nil || !bytes.HasSuffix(got, answer) || !bytes.HasPrefix(got, []byte("HTTP/1.1 200 ")) {
				t.Errorf("of %d bytes and a head %d came, %v", size, len(got), err)
			}
		})
		if took > 100*time.Millisecond {
			t.Errorf("an answer of %d bytes took %v", size, took)
		}
	}
}

// A client may say something after its last request, which a thread that waits for the
// backend does not hear.
func TestTheLastAnswerComesWhateverElseTheClientHasSent(t *testing.T) {
	l := newLab(t)
	asked := make(chan bool)
	l.backend(func(w http.ResponseWriter, _ *http.Request) {
		asked <- true
		time.Sleep(focus / 4)
		io.WriteString(w, "answer")
	})
	s := l.service("web", lb.RoundRobin)
	l.apply()
	for range 20 {
		c := rawDial(t, s.VIP.Addr)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		<-asked
		io.WriteString(c, "and more")
		time.Sleep(focus)
		if got, err := io.ReadAll(c); err != nil || !bytes.HasSuffix(got, []byte("answer")) {
			t.Errorf("%q came, %v", got, err)
		}
	}
}
