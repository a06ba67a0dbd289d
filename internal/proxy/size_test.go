package proxy

import (
	"testing"
	"unsafe"
)

// Most connections of a balancer are idle, and there may be very many.
func TestAClientsConnectionIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(ClientConn{}); n > 144 { // one of the runtime's sizes; the next is 160
		t.Errorf("a ClientConn has %d bytes, want 144 at most", n)
	}
}

func TestAnIdleConnectionHoldsNothing(t *testing.T) {
	th := newTheatre(t, 1)
	for _, piece := range []int{0, 7} { // a head that comes whole, and one in pieces
		k := th.accept()
		k.says(get, piece)
		th.connected().says(hello, 0)
		if c := k.client; c.parser != nil || c.in != nil || c.x != nil {
			t.Errorf("after a request in pieces of %d the connection holds parser %v, buffer %v, exchange %v", piece, c.parser, c.in, c.x)
		}
	}
}

func TestAHeadThatIsCutOffLeavesAParserForTheNext(t *testing.T) {
	th := newTheatre(t, 1)
	k := th.accept()
	k.says(get[:len(get)-3], 0)
	k.client.EOF()
	if n := len(th.core.parsers.all); n != 1 {
		t.Fatalf("%d spare parsers, want 1", n)
	}
	th.accept().says(get, 0)
	s := th.connected()
	if got := s.took(); len(got) == 0 {
		t.Error("the next request did not pass")
	}
}
