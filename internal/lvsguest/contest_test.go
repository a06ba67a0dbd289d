package lvsguest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"lbctl/internal/ipvs"
)

// A contest is one service in the guest and its model, given the same events.
type contest struct {
	name      string // also the seed
	scheduler string
	options   ipvs.Options
	flags     string // ipvsadm's -b
	udp, v6   bool
	marked    bool // a fwmark service with a dozen destination addresses
	weights   []uint32
	hurry     bool // lblcr_expiration 0: a set shrinks at every packet

	number  int
	model   *ipvs.Scheduler
	rand    *rand.Rand
	now     time.Duration
	flows   []*flow
	clients uint32
	program strings.Builder
	choices []choice
	tables  map[string][]string // phase -> backends with counters
}

// choice is what the model made of a first packet.
type choice struct {
	packet  string   // "SRC DST"
	backend string   // "": none
	before  []string // the backends, as the model had them
}

// flow is a connection that both have.
type flow struct {
	*ipvs.Flow
	src, dst netip.AddrPort
	active   bool
}

var (
	small = []uint32{1, 1, 2, 3, 4, 7, 0}
	huge  = []uint32{1<<31 - 1, 1<<31 - 2, 1 << 30, 1<<30 - 1, 100000, 1, 0}
)

func contests() []*contest {
	list := []*contest{
		{name: "rr", scheduler: "rr", weights: small},
		{name: "rr-v6", scheduler: "rr", weights: small, v6: true},
		{name: "wrr", scheduler: "wrr", weights: small},
		{name: "wrr-common-divisor", scheduler: "wrr", weights: []uint32{10, 20, 30, 60, 0}},
		{name: "wrr-heavy", scheduler: "wrr", weights: []uint32{1<<31 - 2, 1<<30 - 1, 0}},
		{name: "lc", scheduler: "lc", weights: small},
		{name: "lc-udp", scheduler: "lc", weights: small, udp: true},
		{name: "wlc", scheduler: "wlc", weights: small},
		{name: "wlc-heavy", scheduler: "wlc", weights: huge},
		{name: "wlc-udp", scheduler: "wlc", weights: small, udp: true},
		{name: "sed", scheduler: "sed", weights: small},
		{name: "sed-heavy", scheduler: "sed", weights: huge},
		{name: "nq", scheduler: "nq", weights: small},
		{name: "nq-heavy-udp", scheduler: "nq", weights: huge, udp: true},
		{name: "fo", scheduler: "fo", weights: small},
		{name: "fo-heavy", scheduler: "fo", weights: huge},
		{name: "ovf", scheduler: "ovf", weights: small},
		{name: "ovf-udp", scheduler: "ovf", weights: small, udp: true},
		{name: "dh", scheduler: "dh", weights: small, marked: true},
		{name: "dh-v6", scheduler: "dh", weights: small, marked: true, v6: true},
		{name: "lblc", scheduler: "lblc", weights: small, marked: true},
		{name: "lblc-v6", scheduler: "lblc", weights: small, marked: true, v6: true},
		{name: "lblcr", scheduler: "lblcr", weights: small, marked: true},
		{name: "lblcr-hurry", scheduler: "lblcr", weights: small, marked: true, hurry: true, options: ipvs.Options{Expiration: 1}},
		{name: "sh", scheduler: "sh", weights: small},
		{name: "sh-heavy", scheduler: "sh", weights: []uint32{100, 80, 60, 40, 0}},
		{name: "sh-port", scheduler: "sh", weights: small, flags: "sh-port", options: ipvs.Options{Port: true}},
		{name: "sh-fallback", scheduler: "sh", weights: small, flags: "sh-fallback", options: ipvs.Options{Fallback: true}},
		{name: "sh-both-v6", scheduler: "sh", weights: small, flags: "sh-port,sh-fallback", v6: true, options: ipvs.Options{Port: true, Fallback: true}},
		{name: "mh", scheduler: "mh", weights: small},
		{name: "mh-heavy", scheduler: "mh", weights: huge},
		{name: "mh-port", scheduler: "mh", weights: small, flags: "mh-port", options: ipvs.Options{Port: true}},
		{name: "mh-fallback", scheduler: "mh", weights: small, flags: "mh-fallback", options: ipvs.Options{Fallback: true}},
		{name: "mh-both-v6", scheduler: "mh", weights: small, flags: "mh-port,mh-fallback", v6: true, options: ipvs.Options{Port: true, Fallback: true}},
	}
	for i, c := range list {
		c.number = i + 1
		seed := [32]byte{}
		copy(seed[:], c.name)
		c.rand = rand.New(rand.NewChaCha8(seed))
		c.tables = map[string][]string{}
	}
	return list
}

const phases = 3

// patience is a timeout for every state that no slow machine outlives.
const patience = "ipvsadm --set 1800 1800 1800\n"

// write runs the models and returns the program that puts the guest through the
// same. A phase is: every service in turn gets its events; then all that shall
// end is made to expire at once, since that takes two seconds.
func write(t *testing.T, list []*contest) string {
	var program strings.Builder
	// A marked service's packets are marked by the address they come for.
	program.WriteString("run tc qdisc add dev tun0 clsact\n" + patience)
	for _, c := range list {
		c.begin(t)
		fmt.Fprint(&program, c.program.String())
		c.program.Reset()
	}
	program.WriteString("run touch /tmp/ready\n") // job.sh waits for it
	for phase := range phases {
		for _, c := range list {
			c.play(t, phase)
			fmt.Fprint(&program, c.program.String())
			c.program.Reset()
		}
		fmt.Fprintf(&program, "print phase%d\nipvsadm --set 0 1 1\n", phase)
		for _, c := range list {
			c.end(phase)
			fmt.Fprint(&program, c.program.String())
			c.program.Reset()
		}
		program.WriteString("settle\n" + patience)
	}
	return program.String()
}

func (c *contest) say(format string, args ...any) {
	fmt.Fprintf(&c.program, format+"\n", args...)
}

func (c *contest) begin(t *testing.T) {
	model, err := ipvs.New(c.scheduler, c.options)
	if err != nil {
		t.Fatal(err)
	}
	c.model = model
	if c.marked && c.v6 {
		c.say("run tc filter add dev tun0 ingress protocol ipv6 prio %d u32 match ip6 dst fd00:1::%x:0/112 action skbedit mark %d", c.number+100, c.number, c.number)
	} else if c.marked {
		c.say("run tc filter add dev tun0 ingress protocol ip prio %d u32 match ip dst 10.1.%d.0/24 action skbedit mark %d", c.number, c.number, c.number)
	}
	command := fmt.Sprintf("ipvsadm -A %s -s %s", c.service(), c.scheduler)
	if c.flags != "" {
		command += " -b " + c.flags
	}
	c.say("%s", command)
}

func (c *contest) service() string {
	switch {
	case c.marked && c.v6:
		return fmt.Sprintf("-f %d -6", c.number)
	case c.marked:
		return fmt.Sprintf("-f %d", c.number)
	case c.udp:
		return "-u " + c.vip(0).String()
	default:
		return "-t " + c.vip(0).String()
	}
}

func (c *contest) proto() string {
	if c.udp {
		return "udp"
	}
	return "tcp"
}

func (c *contest) vip(host int) netip.AddrPort {
	addr := netip.AddrFrom4([4]byte{10, 1, byte(c.number), byte(host * 5)})
	if c.v6 {
		addr = netip.MustParseAddr(fmt.Sprintf("fd00:1::%x:%x", c.number, host*5))
	}
	return netip.AddrPortFrom(addr, 80)
}

func (c *contest) backend(i int) netip.AddrPort {
	addr := netip.AddrFrom4([4]byte{10, 2, 0, byte(i)})
	if c.v6 {
		addr = netip.MustParseAddr(fmt.Sprintf("fd00:2::%x", i))
	}
	if c.marked {
		return netip.AddrPortFrom(addr, 0)
	}
	return netip.AddrPortFrom(addr, 80)
}

// client returns an address and port never used before in this contest.
func (c *contest) client() netip.AddrPort {
	c.clients++
	n, noise := c.clients, c.rand.Uint32()
	port := uint16(1024 + n%60000)
	if c.v6 {
		return netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("fd00:9:%x::%x", n, noise>>16)), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51 + byte(n>>8), byte(n), byte(noise)}), port)
}

// play makes the events of a phase: bursts of changes, and connections that
// begin and turn inactive between them.
func (c *contest) play(t *testing.T, phase int) {
	if c.scheduler == "lblcr" {
		c.say("run sysctl -qw net.ipv4.vs.lblcr_expiration=%d", map[bool]int{true: 0, false: 86400}[c.hurry])
	}
	if phase == 0 {
		for i := 1; i <= 4; i++ {
			c.add(t, i)
		}
	}
	for range 2 {
		for range 14 {
			c.connect()
			if c.rand.IntN(4) == 0 {
				c.finish()
			}
		}
		for range 1 + c.rand.IntN(4) {
			c.change(t)
		}
	}
	for range 14 {
		c.connect()
	}
	c.tables[fmt.Sprintf("phase%d", phase)] = c.table()
}

func (c *contest) connect() {
	src, dst := c.client(), c.vip(0)
	if c.marked {
		dst = c.vip(1 + c.rand.IntN(12))
	}
	c.now += time.Millisecond
	if c.hurry {
		c.say("sleep 9ms") // more than a tick, so that "later than" holds
	}
	first := "S"
	if c.udp {
		first = "-"
	}
	c.say("packet %s %s %s %s", first, c.proto(), src, dst)
	made := choice{packet: src.String() + " " + dst.String(), before: c.table()}
	got, ok := c.model.Connect(ipvs.Packet{Src: src, Dst: dst}, c.now)
	c.choices = append(c.choices, made)
	if !ok {
		return
	}
	c.choices[len(c.choices)-1].backend = got.To().Addr().String()
	f := &flow{Flow: got, src: src, dst: dst}
	if !c.udp {
		c.say("packet A tcp %s %s", src, dst) // SYN_RECV would expire after 60 s
		f.active = true
		f.SetActive(true)
	}
	c.flows = append(c.flows, f)
}

// finish makes some active connection inactive.
func (c *contest) finish() {
	if len(c.flows) == 0 {
		return
	}
	c.fin(c.flows[c.rand.IntN(len(c.flows))])
}

// fin closes a flow from the client's side. IPVS drops packets for backends that
// are no members, so flows to these stay as they are.
func (c *contest) fin(f *flow) {
	if !f.active || !c.member(f.To()) {
		return
	}
	c.say("packet FA tcp %s %s", f.src, f.dst)
	f.active = false
	f.SetActive(false)
}

func (c *contest) member(addr netip.AddrPort) bool {
	return slices.ContainsFunc(c.model.Backends(), func(b ipvs.State) bool { return b.Addr == addr })
}

// change adds, edits or deletes a backend.
func (c *contest) change(t *testing.T) {
	i := 1 + c.rand.IntN(6)
	if !c.member(c.backend(i)) {
		c.add(t, i)
		return
	}
	if c.rand.IntN(3) == 0 {
		c.say("ipvsadm -d %s -r %s", c.service(), c.target(i))
		if err := c.model.Delete(c.backend(i)); err != nil {
			t.Fatal(err)
		}
		return
	}
	b := c.random(i)
	c.say("ipvsadm -e %s -r %s -g -w %d -x %d -y %d", c.service(), c.target(i), b.Weight, b.Upper, b.Lower)
	if err := c.model.Edit(b); err != nil {
		t.Fatal(err)
	}
}

func (c *contest) add(t *testing.T, i int) {
	b := c.random(i)
	c.say("ipvsadm -a %s -r %s -g -w %d -x %d -y %d", c.service(), c.target(i), b.Weight, b.Upper, b.Lower)
	if err := c.model.Add(b); err != nil {
		t.Fatal(err)
	}
}

// target is how ipvsadm wants the backend written: it knows no [v6]:0 of a
// fwmark service, see testdata/services.txt.
func (c *contest) target(i int) string {
	if c.marked {
		return c.backend(i).Addr().String()
	}
	return c.backend(i).String()
}

func (c *contest) random(i int) ipvs.Backend {
	b := ipvs.Backend{Addr: c.backend(i), Weight: c.weights[c.rand.IntN(len(c.weights))]}
	if c.rand.IntN(3) == 0 {
		b.Upper = uint32(3 + c.rand.IntN(12))
		b.Lower = uint32(c.rand.IntN(int(b.Upper)))
	}
	return b
}

// end lets two thirds of the connections expire.
func (c *contest) end(phase int) {
	if phase == phases-1 {
		return
	}
	var stay, leave []*flow
	for _, f := range c.flows {
		if c.rand.IntN(3) == 0 || !c.member(f.To()) {
			stay = append(stay, f)
			continue
		}
		c.fin(f)
		leave = append(leave, f)
	}
	for _, f := range leave {
		c.say("packet %s %s %s %s", map[bool]string{true: "-", false: "A"}[c.udp], c.proto(), f.src, f.dst)
		f.Close()
	}
	c.flows = stay
}

// table is what ipvsadm -Ln should say of the backends.
func (c *contest) table() []string {
	var rows []string
	for _, b := range c.model.Backends() {
		rows = append(rows, fmt.Sprintf("%s weight %d active %d inactive %d", b.Addr, b.Weight, b.Active, b.Inactive))
	}
	return rows
}

// key is how ipvsadm -Ln names the service.
func (c *contest) key() string {
	if c.marked {
		return fmt.Sprintf("FWM %d", c.number)
	}
	return strings.ToUpper(c.proto()) + " " + c.vip(0).String()
}
