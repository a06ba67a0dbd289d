package l4

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"lbctl/internal/ipvs"
	"lbctl/internal/lb"
)

// twin is a service in the maps and the model of the same scheduler, which get
// the same events.
type twin struct {
	*rehearsal
	v         lb.Service
	scheduler string
	options   ipvs.Options
	fails     bool // backends go down and come back
	leaves    bool // backends are deleted
	ages      bool // time passes

	model   *ipvs.Scheduler
	flows   []*ipvs.Flow
	spare   []lb.Backend // that can be added
	down    []lb.Backend
	random  *rand.Rand
	dice    dice
	ticks   uint64
	choices int
}

func (t *twin) String() string {
	return fmt.Sprintf("%s (ports %t, fallback %t) of %s", t.scheduler, t.v.L4.Ports, t.v.L4.Fallback, t.v.VIP)
}

// start makes the model. number tells twins apart.
func (t *twin) start(h *rehearsal, number int, random *rand.Rand) {
	t.rehearsal, t.random = h, random
	k := kind{six: number%2 == 1, proto: lb.TCP}
	t.v.VIP = lb.VIP{Addr: netip.AddrPortFrom(k.of(netip.AddrFrom4([4]byte{198, 18, 3, byte(100 + number)})), 80), Proto: lb.TCP}
	t.v.Name, t.v.Plane, t.v.Forward, t.v.Policy = fmt.Sprint("v", number), lb.L4, lb.DirectRouting, lb.Policy(t.scheduler)
	t.options.Rand = t.dice.draw
	t.options.Port, t.options.Fallback = t.v.L4.Ports, t.v.L4.Fallback
	t.options.Expiration = localityTicks
	var err error
	t.model, err = ipvs.New(t.scheduler, t.options)
	ok(h, err)
	for i := 1; i <= 12; i++ {
		b := backend(i)
		b.Addr = netip.AddrPortFrom(k.of(b.Addr.Addr()), 80)
		b.ID = lb.BackendID(1000*number + i)
		t.spare = append(t.spare, b)
	}
	for range 4 { // at once
		t.add()
	}
}

// weight is one of those that matter, and now and then any.
func (t *twin) weight() uint32 {
	usual := []uint32{0, 1, 1, 2, 3, 5, 8, 100, math.MaxInt32}
	if t.random.IntN(4) == 0 {
		return t.random.Uint32N(1 << t.random.UintN(32))
	}
	return usual[t.random.IntN(len(usual))]
}

func (t *twin) thresholds(b *lb.Backend) {
	b.Upper, b.Lower = 0, 0
	if t.random.IntN(2) == 0 {
		b.Upper = 1 + t.random.Uint32N(30)
		b.Lower = t.random.Uint32N(b.Upper + 1)
	}
}

func toModel(b lb.Backend) ipvs.Backend {
	return ipvs.Backend{Addr: b.Addr, Weight: b.Weight, Upper: b.Upper, Lower: b.Lower}
}

// take removes one of a list, at random.
func take(r *rand.Rand, list *[]lb.Backend) lb.Backend {
	i := r.IntN(len(*list))
	b := (*list)[i]
	*list = slices.Delete(slices.Clone(*list), i, i+1)
	return b
}

// change does one thing to the list of backends, or nothing.
func (t *twin) change() {
	switch n := len(t.v.Backends); t.random.IntN(8) {
	case 0, 1:
		for range t.random.IntN(3) {
			t.add()
		}
	case 2:
		if t.leaves && n > 0 {
			t.remove()
		}
	case 3:
		if t.fails && n > 0 {
			b := take(t.random, &t.v.Backends)
			ok(t, t.model.Delete(b.Addr))
			b.Health = lb.Down
			t.down = append(t.down, b)
		}
	case 4:
		if len(t.down) > 0 { // as one newly added: a checker of IPVS adds it again
			b := take(t.random, &t.down)
			b.Health, b.Weight = lb.Up, 1+t.random.Uint32N(9)
			ok(t, t.model.Add(toModel(b)))
			t.v.Backends = append(slices.Clone(t.v.Backends), b)
		}
	case 5, 6:
		if n > 0 {
			t.edit(t.random.IntN(n))
		}
	}
}

func (t *twin) add() {
	if len(t.spare) == 0 {
		return
	}
	b := take(t.random, &t.spare)
	b.Weight = t.weight()
	t.thresholds(&b)
	ok(t, t.model.Add(toModel(b)))
	t.v.Backends = append(slices.Clone(t.v.Backends), b)
}

func (t *twin) edit(i int) {
	t.v.Backends = slices.Clone(t.v.Backends)
	b := &t.v.Backends[i]
	was := *b
	if t.random.IntN(3) > 0 {
		b.Weight = t.weight()
	}
	t.thresholds(b)
	if *b != was {
		ok(t, t.model.Edit(toModel(*b)))
	}
}

// remove deletes a backend; with lblc, which knows a deleted one again by its
// address as we do not, for good.
func (t *twin) remove() {
	b := take(t.random, &t.v.Backends)
	ok(t, t.model.Delete(b.Addr))
	if t.scheduler != "lblc" && t.scheduler != "lblcr" {
		t.spare = append(t.spare, b)
	}
}

// wanted is the service as it shall be applied.
func (t *twin) wanted() lb.Service {
	v := t.v
	v.Backends = slices.Concat(t.v.Backends, t.down)
	return v
}

// tell sets what each backend has, after an Apply.
func (t *twin) tell() {
	for _, s := range t.model.Backends() {
		t.tellOf(s)
	}
}

func (t *twin) tellOf(s ipvs.State) {
	i := slices.IndexFunc(t.v.Backends, func(b lb.Backend) bool { return b.Addr == s.Addr })
	t.set(t.slotOf(t.v.Backends[i].ID), s.Active, s.Inactive, s.Overloaded)
}

func (t *twin) slotOf(id lb.BackendID) uint32 {
	return t.state.find(t.v.Name).find(id).slot
}

// step is a new connection, or one that changes or ends. It returns what the
// model chose, and false if it was asked for nothing. It takes at most two of
// the rehearsal's steps.
func (t *twin) step() (want uint32, asked bool) {
	if n := len(t.flows); n > 0 && t.random.IntN(3) == 0 {
		i := t.random.IntN(n)
		f := t.flows[i]
		if t.random.IntN(2) == 0 {
			f.SetActive(t.random.IntN(3) > 0)
		} else {
			f.Close()
			t.flows[i] = t.flows[n-1]
			t.flows = t.flows[:n-1]
		}
		t.tellAbout(f.To())
		return 0, false
	}
	p := ipvs.Packet{Src: t.address(1 << 16), Dst: t.address(16)}
	if t.ages {
		t.ticks += t.random.Uint64N(2)
	}
	seed := t.random.Uint64()
	t.dice = dice(seed)
	to, found := t.model.Schedule(p, time.Duration(t.ticks))
	t.ask(t.v.VIP, p.Src, p.Dst, t.ticks, seed)
	t.choices++
	if !found {
		return noSlot, true
	}
	i := slices.IndexFunc(t.v.Backends, func(b lb.Backend) bool { return b.Addr == to })
	want = t.slotOf(t.v.Backends[i].ID)
	if len(t.flows) < 200 && t.random.IntN(3) > 0 {
		f, err := t.model.Open(to)
		ok(t, err)
		f.SetActive(t.random.IntN(3) > 0)
		t.flows = append(t.flows, f)
		t.tellAbout(to)
	}
	return want, true
}

// tellAbout sets what a backend has, if it is a member.
func (t *twin) tellAbout(addr netip.AddrPort) {
	for _, s := range t.model.Backends() {
		if s.Addr == addr {
			t.tellOf(s)
		}
	}
}

// address is one of n, in the service's family.
func (t *twin) address(n int) netip.AddrPort {
	i := t.random.IntN(n)
	a := netip.AddrFrom4([4]byte{10, 7, byte(i >> 8), byte(i)})
	return netip.AddrPortFrom(kind{six: t.v.VIP.Addr.Addr().Is6()}.of(a), uint16(1024+i%60000))
}
