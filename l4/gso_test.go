package l4

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
)

// segmented is a struct __sk_buff of a packet that is to be cut into segments.
func (r *rig) segmented(size, segments uint32) []byte {
	c := r.skb()
	binary.NativeEndian.PutUint32(c[164:], segments)
	binary.NativeEndian.PutUint32(c[176:], size)
	return c
}

// A packet beyond 64 KB does not tell its length: IPv4 says 0, IPv6 says it in an
// option. Only the kernel makes such, so it is forwarded iff it is one of those.
func TestPacketsBeyond64KAtTCX(t *testing.T) {
	if hook != lb.HookTCX {
		return // XDP gets no such packet
	}
	four, six := kind{false, lb.TCP}, kind{true, lb.TCP}
	jumbo := func(s *segment) []byte { return s.bytes(extended(0, 194, 4, 0, 1), set16(at6Length, 0)) }
	for _, k := range []kind{four, six} {
		for name, s := range map[string]lb.Snapshot{"dr": k.snapshot(lb.RoundRobin, backend(1)), "nat": k.nat(backend(1))} {
			r := newRig(t)
			r.apply(s)
			sent, got := k.from(1000, "ACK"), k.from(1000, "ACK").via(portMAC, backendMAC(1)).ttl(63)
			if name == "nat" {
				got.translated(1)
			}
			in, want := sent.bytes(set16(atLength, 0)), got.bytes(set16(atLength, 0))
			if k.six {
				in, want = jumbo(sent), jumbo(got)
			} else { // the length is part of the IP header's checksum
				copy(want[24:26], in[24:26])
			}
			for _, row := range []struct {
				segmented bool
				action    uint32
			}{{true, xdpTx}, {false, xdpDrop}} {
				skb := r.skb()
				if row.segmented {
					skb = r.segmented(1000, 2)
				}
				var res result
				ok(t, r.ns.Do(func() (err error) {
					res, err = r.runSKB(bytes.Clone(in), skb, 0)
					return err
				}))
				if res.action != row.action {
					t.Errorf("%s %s, segmented %t: action %d, want %d", k, name, row.segmented, res.action, row.action)
				}
				// IPv4's own checksum was wrong from the start.
				if row.segmented && k.six && !bytes.Equal(res.out, want) {
					t.Errorf("%s %s:\n got %x\nwant %x", k, name, res.out, want)
				}
			}
			r.leave()
		}
	}
}

// The stack takes a VLAN tag off before tcx: such a frame is passed as at XDP.
func TestVLANTagAtTCX(t *testing.T) {
	if hook != lb.HookTCX {
		return // it is among the packets that are not forwarded
	}
	r := newRig(t)
	r.apply(snapshot(lb.RoundRobin, backend(1)))
	before := r.packets("NOT_IP")
	tagged := syn(1)
	tagged = append(append(bytes.Clone(tagged[:12]), 0x81, 0, 0, 5), tagged[12:]...)
	r.inject("eth0peer", tagged)
	if n := r.await("NOT_IP", before); n != 1 {
		t.Errorf("%d frames are no IP, want the one with a tag", n)
	}
}

// Frames as short as BPF_PROG_TEST_RUN does not take them, by the wire.
func TestTruncatedFrames(t *testing.T) {
	r := newRig(t)
	r.apply(snapshot(lb.RoundRobin, backend(1)))
	for _, frame := range [][]byte{from(1, "SYN").bytes(cut(33)), kind{true, lb.TCP}.from(1, "SYN").bytes(cut(53))} {
		before := r.packets("TRUNCATED_IP")
		r.inject("eth0peer", frame)
		if n := r.await("TRUNCATED_IP", before); n != 1 {
			t.Errorf("%d frames are truncated, want the one of %d bytes", n, len(frame))
		}
	}
}

// inject sends a frame out of an interface of the rig.
func (r *rig) inject(name string, frame []byte) {
	r.Helper()
	ok(r, r.ns.Do(func() error {
		up(r, name)
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		i, err := net.InterfaceByName(name)
		if err != nil {
			return err
		}
		return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: i.Index})
	}))
}

// await waits until a verdict has been met more often, and returns by how much.
func (r *rig) await(verdict string, before uint64) uint64 {
	r.Helper()
	for r.Context().Err() == nil {
		if n := r.packets(verdict); n != before {
			return n - before
		}
	}
	return 0
}
