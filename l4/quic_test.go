package l4

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"lbctl/internal/lb"
)

// connectionID is one that a server made, with as many bytes of its own.
func connectionID(server uint16, nonce int) []byte {
	id := binary.BigEndian.AppendUint16([]byte{byte(2 + nonce)}, server)
	for i := range nonce {
		id = append(id, byte(i))
	}
	return id
}

// short and long are QUIC packets up to the connection ID and a little more.
func short(id []byte) []byte { return append(append([]byte{0x40}, id...), "payload"...) }

func long(id []byte) []byte {
	head := []byte{0xc0, 0, 0, 0, 1, byte(len(id))}
	return append(append(head, id...), "\x00payload"...)
}

// quic has backends 1 to 3 behind one UDP service; the third's server ID is configured.
func (k kind) quic() lb.Snapshot {
	s := k.snapshot(lb.RoundRobin, backend(1), backend(2), with(backend(3), func(b *lb.Backend) { b.ServerID = 0xbeef }))
	s.Services[0].L4.QUIC = true
	return s
}

func (s *segment) carrying(payload []byte) *segment {
	s.payload = payload
	return s
}

// A packet whose connection ID a backend chose goes there from whatever address;
// any other is scheduled: here in turn, so what came before shows.
func TestConnectionIDNamesTheBackend(t *testing.T) {
	rows := []struct {
		name    string
		payload []byte
		want    int // 0: the next in turn
	}{
		{"short header", short(connectionID(2, 4)), 2},
		{"short header, a long nonce", short(connectionID(2, 17)), 2},
		{"short header without the fixed bit (RFC 9287)", append([]byte{0}, short(connectionID(2, 4))[1:]...), 2},
		{"long header", long(connectionID(2, 4)), 2},
		{"long header, a long nonce", long(connectionID(1, 17)), 1},
		{"a configured server ID", short(connectionID(0xbeef, 8)), 3},
		{"the backend's own ID where another is configured", short(connectionID(3, 8)), 0},
		{"an unknown server ID", short(connectionID(77, 4)), 0},
		{"another configuration", short(append([]byte{1<<5 | 6}, connectionID(2, 4)[1:]...)), 0},
		{"the configuration that is none", short(append([]byte{7<<5 | 6}, connectionID(2, 4)[1:]...)), 0},
		{"a nonce too short", short(connectionID(2, 3)), 0},
		{"a connection ID too long", short(connectionID(2, 18)), 0},
		{"a short header that ends in the connection ID", short(connectionID(2, 8))[:10], 0},
		{"a long header that ends in the connection ID", long(connectionID(2, 8))[:12], 0},
		{"a long header whose length is another", append(append([]byte{0xc0, 0, 0, 0, 1, 8}, connectionID(2, 4)...), "payload"...), 0},
		{"a long header without a connection ID", long(nil), 0},
		{"one byte", []byte{0x40}, 0},
		{"a long header's first byte", []byte{0xc0}, 0},
		{"nothing", nil, 0},
	}
	for _, six := range []bool{false, true} {
		k := kind{six, lb.UDP}
		t.Run(k.String(), func(t *testing.T) {
			r := newRig(t)
			r.apply(k.quic())
			turn := 0
			for i, row := range rows {
				want, verdict := row.want, "BY_CONNECTION_ID"
				if want == 0 {
					want, verdict = turn%3+1, "NEW_FLOW"
					turn++
				}
				packet := k.from(1000 + i).carrying(row.payload)
				if got := r.send(packet.bytes()); got.verdict != verdict || int(got.out[5]) != want {
					t.Errorf("%s: %s to backend %d, want %s to %d", row.name, got.verdict, got.out[5], verdict, want)
				}
				if got := r.send(packet.bytes()); got.verdict != "KNOWN_FLOW" || int(got.out[5]) != want {
					t.Errorf("%s, once more: %s to backend %d, want KNOWN_FLOW to %d", row.name, got.verdict, got.out[5], want)
				}
			}
			if c := r.service("web").Counters; c.Connections != uint64(turn) {
				t.Errorf("%d connections are counted, want %d: one that moves is no new one", c.Connections, turn)
			}
			// The address and port that another connection had, as behind carrier-grade NAT.
			first, second := k.from(5000).carrying(short(connectionID(1, 4))), k.from(5000).carrying(short(connectionID(2, 4)))
			for _, step := range []struct {
				packet  *segment
				verdict string
				want    byte
			}{{first, "BY_CONNECTION_ID", 1}, {second, "BY_CONNECTION_ID", 2}, {second, "KNOWN_FLOW", 2}, {first, "BY_CONNECTION_ID", 1}} {
				if got := r.send(step.packet.bytes()); got.verdict != step.verdict || got.out[5] != step.want {
					t.Errorf("two connections from one port: %s to backend %d, want %s to %d", got.verdict, got.out[5], step.verdict, step.want)
				}
			}
		})
	}
}

// A connection ID does not wake the dead: its backend's health and admin state count as for flows.
func TestConnectionIDOfABackendThatIsDownMeansNothing(t *testing.T) {
	r := newRig(t)
	k := kind{proto: lb.UDP}
	packet := func(port int) []byte { return k.from(port).carrying(short(connectionID(2, 4))).bytes() }
	s := k.quic()
	for i, row := range []struct {
		change func(*lb.Backend)
		want   string
	}{
		{func(*lb.Backend) {}, "BY_CONNECTION_ID"},
		{draining, "BY_CONNECTION_ID"},
		{down, "NEW_FLOW"},
		{disabled, "NEW_FLOW"},
		{func(b *lb.Backend) { b.ServerID = 9 }, "NEW_FLOW"},
	} {
		next := k.quic()
		next.Services[0].Backends[1] = with(s.Services[0].Backends[1], row.change)
		r.apply(next)
		if got := r.send(packet(10 + i)); got.verdict != row.want {
			t.Errorf("state %d: %s, want %s", i, got.verdict, row.want)
		}
	}
	r.reopen()
	off := k.quic()
	off.Services[0].L4.QUIC = false
	for i, want := range []string{"BY_CONNECTION_ID", "NEW_FLOW"} {
		s := []lb.Snapshot{k.quic(), off}[i]
		s.Revision += 100
		r.apply(s)
		if got := r.send(packet(20 + i)); got.verdict != want {
			t.Errorf("after a restart, step %d: %s, want %s", i, got.verdict, want)
		}
	}
	var key xdpServerKey
	if r.objects.Servers.NextKey(nil, &key) == nil {
		t.Errorf("server ID %d is left of a service that has none any more", key.Id)
	}
}

// TCP beside UDP in one service, as HTTP/3 has it, is not looked into.
func TestConnectionIDsAreOfUDPOnly(t *testing.T) {
	r := newRig(t)
	s := kind{proto: lb.UDP}.quic()
	s.Services[0].L4.Also = []lb.Match{kind{proto: lb.TCP}.match("198.18.3.1", 32, 80, 80)}
	r.apply(s)
	for port := range 6 {
		p := from(1+port, "SYN").carrying(short(connectionID(2, 4)))
		if got := r.send(p.bytes()); got.verdict != "NEW_FLOW" || int(got.out[5]) != port%3+1 {
			t.Errorf("SYN %d: %s to backend %d, want NEW_FLOW to %d", port, got.verdict, got.out[5], port%3+1)
		}
	}
}

func TestServerIDsMustDiffer(t *testing.T) {
	r := newRig(t)
	k := kind{proto: lb.UDP}
	for want, change := range map[string]func(*lb.Service){
		`backends "s2" and "s1" have the same server ID 1`: func(s *lb.Service) { s.Backends[1].ServerID = 1 },
		`have the same server ID 2`:                        func(s *lb.Service) { s.Backends[2].ID = 1<<16 + 2 },
		"quic is for udp": func(s *lb.Service) {
			s.VIP = lb.VIP{Addr: netip.MustParseAddrPort("198.18.3.1:80"), Proto: lb.TCP}
		},
	} {
		s := k.quic()
		change(&s.Services[0])
		if err := r.Apply(t.Context(), s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
	}
}
