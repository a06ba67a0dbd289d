package l4

import (
	"bytes"
	"net/netip"

	"github.com/gopacket/gopacket/layers"
)

// spliced is both sides of the connection from port 1000 to backend 1, under nat or
// under fullnat with TOA.
type spliced struct {
	kind
	*rig
	full  bool
	local netip.AddrPort // under fullnat
}

// to is the client's segment as the backend gets it.
func (x spliced) to(s *segment) []byte {
	if x.full {
		return s.replaced(1, x.local).ttl(63).bytes()
	}
	return s.translated(1).ttl(63).bytes()
}

// told is the same of one that tells who the client is, under fullnat.
func (x spliced) told(s *segment) []byte {
	if x.full {
		s.tcp.Options = append([]layers.TCPOption{x.option(1000)}, s.tcp.Options...)
	}
	return x.to(s)
}

// reply is what the backend sends.
func (x spliced) reply(flags ...string) *segment {
	if x.full {
		return x.replyTo(1, x.local, flags...)
	}
	return x.kind.reply(1, 1000, flags...)
}

// back is the reply as the client gets it.
func (x spliced) back(s *segment) []byte {
	if x.full {
		return s.restored(1000).ttl(63).bytes()
	}
	return s.untranslated().ttl(63).bytes()
}

// expect is the rig's, of a client's segment that may grow in its frame.
func (x spliced) expect(what string, in *segment, verdict string, want []byte) {
	x.Helper()
	got := x.rig.expect(x.String()+" "+what, in.bytes(), verdict, nil).out
	n := min(len(got), len(want))
	if padding := got[n:]; !bytes.Equal(got[:n], want) || len(padding) > 6 || len(bytes.Trim(padding, "\x00")) > 0 {
		x.Fatalf("%s %s\n got %x\nwant %x", x, what, got, want)
	}
}
