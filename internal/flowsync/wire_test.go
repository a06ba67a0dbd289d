package flowsync

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"lbctl/internal/lb"
)

func flow(change func(*lb.ToldFlow)) lb.ToldFlow {
	f := lb.ToldFlow{
		Proto: lb.TCP, Client: netip.MustParseAddrPort("198.18.1.1:40000"), VIP: netip.MustParseAddrPort("198.18.3.1:80"),
		Backend: netip.MustParseAddrPort("198.18.4.2:80"), Forward: lb.DirectRouting, State: lb.FlowEstablished, Left: 900 * time.Second,
	}
	f.Service = lb.VIP{Addr: f.VIP, Proto: f.Proto}
	if change != nil {
		change(&f)
	}
	return f
}

var samples = map[string]lb.ToldFlow{
	"dr":  flow(nil),
	"nat": flow(func(f *lb.ToldFlow) { f.Forward, f.State, f.Left = lb.NAT, lb.FlowSynReceived, 60*time.Second }),
	"udp": flow(func(f *lb.ToldFlow) { f.Proto, f.Service.Proto, f.State = lb.UDP, lb.UDP, lb.FlowDatagrams }),
	"six": flow(func(f *lb.ToldFlow) {
		f.Client, f.VIP = netip.MustParseAddrPort("[2001:2::101]:40000"), netip.MustParseAddrPort("[2001:2::301]:80")
		f.Backend, f.Service.Addr = netip.MustParseAddrPort("[2001:2::402]:8080"), f.VIP
	}),
	"every parameter": flow(func(f *lb.ToldFlow) {
		f.Forward, f.Delta, f.Shift, f.Peer = lb.FullNAT, 0xdeadbeef, -7, netip.MustParseAddrPort("198.18.2.1:50000")
		f.Service.Addr = netip.MustParseAddrPort("198.18.3.9:0")
	}),
}

// The bytes are those of ip_vs_sync.c, struct by struct.
func TestAMessageIsTheKernelsByteForByte(t *testing.T) {
	m := newMessage(7)
	for _, name := range []string{"dr", "nat"} {
		if ok, err := m.add(samples[name]); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	want := strings.Join([]string{
		"00 07 0050 02 01 0000",                        // reserved, syncid, size, nr_conns, version, spare
		"00 06 0024 00000083 0001 9c40 0050 0050",      // type, protocol, version and size, flags, state, ports
		"00000000 00000384 c6120101 c6120301 c6120402", // mark, timeout, client, VIP, backend
		"00 06 0024 00000000 0003 9c40 0050 0050",
		"00000000 0000003c c6120101 c6120301 c6120402",
	}, "")
	if got := hex.EncodeToString(m.finish()); got != strings.ReplaceAll(want, " ", "") {
		t.Errorf("message\n%s\nwant\n%s", got, strings.ReplaceAll(want, " ", ""))
	}
}

func TestWhatIsEncodedIsParsed(t *testing.T) {
	m := newMessage(1)
	var want []lb.ToldFlow
	for name, f := range samples {
		if ok, err := m.add(f); !ok || err != nil {
			t.Fatal(name, ok, err)
		}
		want = append(want, f)
	}
	id, got, err := Parse(m.finish())
	if err != nil || id != 1 || !reflect.DeepEqual(got, want) {
		t.Errorf("parsed %d, %+v, %v\nwant %+v", id, got, err, want)
	}
}

func TestAMessageFitsAFrameAndCountsItsFlows(t *testing.T) {
	m, n := newMessage(0), 0
	for {
		ok, err := m.add(samples["every parameter"])
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		n++
	}
	b := m.finish()
	_, flows, err := Parse(b)
	if err != nil || len(flows) != n || len(b) > MaxMessage || n < 20 {
		t.Errorf("%d flows in %d bytes, parsed %d, %v", n, len(b), len(flows), err)
	}
}

func TestAFlowThatNoMessageCanHoldIsRefused(t *testing.T) {
	for name, f := range map[string]lb.ToldFlow{
		"state":    flow(func(f *lb.ToldFlow) { f.State = "LISTEN" }),
		"udp":      flow(func(f *lb.ToldFlow) { f.Proto = lb.UDP }),
		"protocol": flow(func(f *lb.ToldFlow) { f.Proto = "sctp" }),
		"forward":  flow(func(f *lb.ToldFlow) { f.Forward = "bypass" }),
		"families": flow(func(f *lb.ToldFlow) { f.VIP = netip.MustParseAddrPort("[2001:2::301]:80") }),
		"backend":  flow(func(f *lb.ToldFlow) { f.Backend = netip.MustParseAddrPort("[2001:2::401]:80") }),
	} {
		if ok, err := newMessage(0).add(f); ok || err == nil {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
}

func TestMalformedMessagesAreRefusedWhole(t *testing.T) {
	good := func() []byte {
		m := newMessage(0)
		_, _ = m.add(samples["dr"])
		_, _ = m.add(samples["every parameter"])
		return m.finish()
	}
	resize := func(b []byte) []byte { b[2], b[3] = byte(len(b)>>8), byte(len(b)); return b }
	for name, spoil := range map[string]func([]byte) []byte{
		"empty":                 func([]byte) []byte { return nil },
		"header cut":            func(b []byte) []byte { return b[:7] },
		"version 0":             func(b []byte) []byte { b[5] = 0; return b },
		"reserved":              func(b []byte) []byte { b[0] = 1; return b },
		"spare":                 func(b []byte) []byte { b[7] = 1; return b },
		"size":                  func(b []byte) []byte { b[3]++; return b },
		"entry missing":         func(b []byte) []byte { b[4]++; return b },
		"entry too many":        func(b []byte) []byte { b[4]--; return b },
		"trailing bytes":        func(b []byte) []byte { return resize(append(b, 0, 0, 0, 0)) },
		"entry's type":          func(b []byte) []byte { b[8] = 2; return b },
		"entry's version":       func(b []byte) []byte { b[10] |= 0x10; return b },
		"entry too short":       func(b []byte) []byte { b[11] = 35; return b },
		"entry too long":        func(b []byte) []byte { b[10], b[11] = 0x0f, 0xff; return b },
		"protocol":              func(b []byte) []byte { b[9] = 132; return b },
		"forward":               func(b []byte) []byte { b[15] = 0x84; return b },
		"state":                 func(b []byte) []byte { b[17] = 99; return b },
		"port 0":                func(b []byte) []byte { b[18], b[19] = 0, 0; return b },
		"for ever":              func(b []byte) []byte { b[28] = 0xff; return b },
		"unspecified client":    func(b []byte) []byte { copy(b[32:36], make([]byte, 4)); return b },
		"group as backend":      func(b []byte) []byte { b[40] = 224; return b },
		"parameter mandatory":   func(b []byte) []byte { b[44+36] = 0x05; return b },
		"parameter twice":       func(b []byte) []byte { b[44+36+8] = paramService; return b },
		"parameter without end": func(b []byte) []byte { b[44+36+1] = 200; return b },
		"parameter empty":       func(b []byte) []byte { b[44+36+1] = 0; return b },
	} {
		_, flows, err := Parse(spoil(good()))
		if !errors.Is(err, ErrMalformed) || flows != nil {
			t.Errorf("%s: %v, %v", name, flows, err)
		}
	}
	if _, flows, err := Parse(good()); err != nil || len(flows) != 2 {
		t.Fatalf("the good one: %v, %v", flows, err)
	}
}

// A sender of later days, or the kernel with its sequence data for helpers, may
// say more than is known here.
func TestUnknownParametersAreSkippedIfTheirSenderSaysSo(t *testing.T) {
	m := newMessage(0)
	_, _ = m.add(samples["dr"])
	b := append(m.finish(), paramSkippable|0x2f, 2, 1, 2)
	b[3], b[11] = byte(len(b)), byte(len(b)-headerSize)
	if _, flows, err := Parse(b); err != nil || len(flows) != 1 || flows[0] != samples["dr"] {
		t.Errorf("%v, %v", flows, err)
	}
}

func TestTemplatesAreNoFlows(t *testing.T) {
	m := newMessage(0)
	_, _ = m.add(samples["dr"])
	b := m.finish()
	b[14] |= flagTemplate >> 8
	b[18], b[19] = 0, 0 // a template has no client's port
	if _, flows, err := Parse(b); err != nil || len(flows) != 0 {
		t.Errorf("%v, %v", flows, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range samples {
		m := newMessage(3)
		_, _ = m.add(s)
		_, _ = m.add(s)
		f.Add(m.finish())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		_, flows, err := Parse(b)
		if !bytes.Equal(b, before) {
			t.Fatal("parsing changed the message")
		}
		if err != nil {
			if flows != nil || !errors.Is(err, ErrMalformed) {
				t.Fatalf("%v with %v", err, flows)
			}
			return
		}
		for _, flow := range flows {
			m := newMessage(0)
			if ok, err := m.add(flow); err != nil || !ok {
				t.Fatalf("%+v was parsed and cannot be encoded: %v", flow, err)
			}
			if _, again, err := Parse(m.finish()); err != nil || len(again) != 1 || again[0] != flow {
				t.Fatalf("%+v became %+v, %v", flow, again, err)
			}
		}
	})
}
