package l7

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"testing"

	"lbctl/internal/supervise"
)

func TestAWorkerTakesSocketsOfAMessageThatItUnderstands(t *testing.T) {
	w := &worker{sockets: map[netip.AddrPort]*os.File{}}
	before := openFiles()
	for _, c := range []struct {
		addrs string
		files int
		takes bool
		kept  int // in the end
	}{
		{`["192.0.2.1:80"]`, 1, true, 1},
		{`["192.0.2.1:80"]`, 2, false, 1},
		{`["192.0.2.1:80","192.0.2.2:80"]`, 1, false, 1},
		{`"garbage"`, 1, false, 1},
		{`["192.0.2.1:80","192.0.2.2:80"]`, 2, true, 2}, // one of them for the second time
	} {
		m := supervise.Message{Kind: kindSockets, Body: json.RawMessage(c.addrs)}
		for range c.files {
			f, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			m.Files = append(m.Files, f)
		}
		if _, err := w.handle(context.Background(), m); (err == nil) != c.takes {
			t.Errorf("%d files for %s: %v", c.files, c.addrs, err)
		}
		for _, f := range m.Files { // as the link does
			if (f == nil) != c.takes {
				t.Errorf("%d files for %s: one is taken: %v, want %v", c.files, c.addrs, f == nil, c.takes)
			}
			f.Close()
		}
		if now := openFiles() - before; now != c.kept {
			t.Errorf("%d files for %s: %d are open, want %d", c.files, c.addrs, now, c.kept)
		}
	}
	if w.dropSockets(); openFiles() != before {
		t.Errorf("%d are left open", openFiles()-before)
	}
}
