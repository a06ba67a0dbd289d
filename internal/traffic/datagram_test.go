package traffic

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"
)

// A connected socket takes answers from the address it sent to only.
func TestDatagramsComeBackFromWhereTheyWereSent(t *testing.T) {
	for _, row := range []struct{ listen, to string }{
		{"127.0.0.1:0", "127.0.0.1"},
		{"0.0.0.0:0", "127.0.0.9"},
		{"[::]:0", "127.0.0.9"},
		{"[::]:0", "::1"},
		{"[::1]:0", "::1"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		s, err := Listen(ctx, ServerConfig{Name: "s1", Listen: []netip.AddrPort{netip.MustParseAddrPort(row.listen)}})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() { ended <- s.Serve(ctx) }()
		to := netip.AddrPortFrom(netip.MustParseAddr(row.to), s.Addrs()[0].Port())
		conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"hello", "", "again"} {
			got := make([]byte, 10)
			if _, err := conn.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
			n, err := conn.Read(got)
			if err != nil || string(got[:n]) != text {
				t.Errorf("listening on %s, sent to %s: %q came back for %q (%v)", row.listen, to, got[:n], text, err)
			}
		}
		conn.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
