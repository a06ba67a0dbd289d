package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// links returns both ends of a link.
func links(t *testing.T, a, b Handler) (*Link, *Link) {
	t.Helper()
	conn, file, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	other, err := connOf(file)
	if err != nil {
		t.Fatal(err)
	}
	la, lb := newLink(conn, a), newLink(other, b)
	t.Cleanup(func() { la.Close(); lb.Close() })
	return la, lb
}

func echo(_ context.Context, m Message) (any, error) {
	var s string
	err := m.Into(&s)
	return s, err
}

func echoBody(_ context.Context, m Message) (any, error) { return m.Body, nil }

func deadline(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestRequestsGoBothWaysAtOnce(t *testing.T) {
	a, b := links(t, echoBody, echoBody)
	var all sync.WaitGroup
	for _, l := range []*Link{a, b} {
		for i := range 50 {
			all.Go(func() {
				want, got := fmt.Sprint(i, strings.Repeat("x", i*1000)), ""
				if err := l.Call(deadline(t, 10*time.Second), "echo", want, &got); err != nil || got != want {
					t.Errorf("echo of %d bytes = %d bytes, %v", len(want), len(got), err)
				}
			})
		}
	}
	all.Wait()
}

func TestALargeMessageArrivesWhole(t *testing.T) {
	a, _ := links(t, nil, echoBody)
	want, got := strings.Repeat("0123456789", 1<<18), ""
	if err := a.Call(deadline(t, 20*time.Second), "echo", want, &got); err != nil || got != want {
		t.Errorf("echo of %d bytes = %d bytes, %v", len(want), len(got), err)
	}
	if err := writeFrame(a.conn, make([]byte, maxBody+1), nil); !errors.Is(err, errFrame) {
		t.Errorf("too large a message: %v, want errFrame", err)
	}
	if err := a.Call(deadline(t, 5*time.Second), "echo", "still there", &got); err != nil {
		t.Errorf("after a refused message: %v", err)
	}
}

func TestARefusalHasTheOthersWords(t *testing.T) {
	a, _ := links(t, nil, echo)
	err := a.Call(deadline(t, 5*time.Second), "echo", 5, nil)
	if err == nil || !strings.Contains(err.Error(), "decode echo: json: cannot unmarshal") {
		t.Errorf("call = %v, want why it was refused", err)
	}
}

func TestFilesComeWithTheirMessage(t *testing.T) {
	read := func(_ context.Context, m Message) (any, error) {
		var contents []string
		for _, f := range m.Files {
			data, err := io.ReadAll(f)
			if err != nil {
				return nil, err
			}
			contents = append(contents, string(data))
		}
		return contents, nil
	}
	a, _ := links(t, nil, read)
	open := openFiles(t)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			var files []*os.File
			for j := range i {
				r, w, err := os.Pipe()
				if err != nil {
					t.Error(err)
					return
				}
				fmt.Fprint(w, i, j)
				w.Close()
				defer r.Close()
				files = append(files, r)
			}
			var got []string
			if err := a.Call(deadline(t, 10*time.Second), "read", strings.Repeat("x", 100*i), &got, files...); err != nil || len(got) != i {
				t.Errorf("read %d files = %q, %v", i, got, err)
			}
			for j, content := range got {
				if content != fmt.Sprint(i, j) {
					t.Errorf("file %d of %d = %q", j, i, content)
				}
			}
		})
	}
	all.Wait()
	if now := openFiles(t); now != open {
		t.Errorf("%d files are left open", now-open)
	}
}

func TestFilesThatNobodyTakesAreClosed(t *testing.T) {
	kept := make(chan *os.File, 1)
	a, _ := links(t, nil, func(_ context.Context, m Message) (any, error) {
		switch m.Kind {
		case "keep one":
			kept <- m.Files[0]
			m.Files[0] = nil
		case "refuse":
			return nil, errors.New("no")
		}
		return nil, nil
	})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	open := openFiles(t)
	for kind, left := range map[string]int{"keep one": 1, "refuse": 0, "ignore": 0} {
		if err := a.Call(deadline(t, 5*time.Second), kind, nil, nil, r, w); (err != nil) != (kind == "refuse") {
			t.Errorf("%s: %v", kind, err)
		}
		if now := openFiles(t); now != open+left {
			t.Errorf("%s: %d files are left open, want %d", kind, now-open, left)
		}
		if left > 0 {
			(<-kept).Close()
		}
	}
}

func TestACallEndsWithItsDeadlineOrTheLink(t *testing.T) {
	stuck := func(ctx context.Context, _ Message) (any, error) { <-ctx.Done(); return nil, nil }
	a, b := links(t, nil, stuck)
	if err := a.Call(deadline(t, 20*time.Millisecond), "wait", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("call = %v, want its deadline", err)
	}
	time.AfterFunc(20*time.Millisecond, b.Close)
	if err := a.Call(deadline(t, 5*time.Second), "wait", nil, nil); !errors.Is(err, ErrLinkClosed) {
		t.Errorf("call = %v, want ErrLinkClosed", err)
	}
	<-a.Done()
	if err := a.Call(deadline(t, 5*time.Second), "wait", nil, nil); !errors.Is(err, ErrLinkClosed) {
		t.Errorf("call after the end = %v, want ErrLinkClosed", err)
	}
}

func TestACallToAProcessThatIsGoneSaysSo(t *testing.T) {
	for range 200 {
		conn, file, err := pair()
		if err != nil {
			t.Fatal(err)
		}
		a := newLink(conn, nil)
		file.Close() // which the link may have heard of, or not yet
		if err := a.Call(deadline(t, 5*time.Second), "any", nil, nil); !errors.Is(err, ErrLinkClosed) {
			t.Errorf("call = %v, want ErrLinkClosed", err)
		}
		a.Close()
	}
}

func TestAProcessThatDoesNotReadCannotHoldUpTheMaster(t *testing.T) {
	conn, file, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	a := newLink(conn, nil)
	defer a.Close()
	err = a.Call(deadline(t, 50*time.Millisecond), "large", strings.Repeat("x", 8<<20), nil)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("call = %v, want a deadline", err)
	}
	<-a.Done()
}

func TestGarbageEndsTheLink(t *testing.T) {
	conn, file, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	a := newLink(conn, nil)
	if _, err := file.Write(frameBytes(3, 0, "}{!")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-a.Done():
	case <-time.After(5 * time.Second):
		t.Error("the link goes on")
	}
}

func BenchmarkCall(b *testing.B) {
	conn, file, err := pair()
	if err != nil {
		b.Fatal(err)
	}
	other, err := connOf(file)
	if err != nil {
		b.Fatal(err)
	}
	l, far := newLink(conn, nil), newLink(other, echoBody)
	defer l.Close()
	defer far.Close()
	for b.Loop() {
		if err := l.Call(b.Context(), "echo", "x", nil); err != nil {
			b.Fatal(err)
		}
	}
}
