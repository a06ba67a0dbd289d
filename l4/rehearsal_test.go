package l4

import (
	"encoding/binary"
	"net/netip"
	"path/filepath"

	"github.com/cilium/ebpf"

	"lbctl/internal/lb"
)

// rehearsal runs schedule() over a rig's maps, thousands of steps in one call,
// under the test's own clock and dice.
type rehearsal struct {
	*rig
	objects rehearsalObjects
	steps   []rehearsalStep
}

// localityTicks is after how many ticks of its clock lblc and lblcr forget.
const localityTicks = 1000

func rehearse(r *rig) *rehearsal {
	r.Helper()
	spec, err := loadRehearsal()
	ok(r, err)
	ok(r, spec.Variables[rehearsalVarLocalityExpiration].Set(uint64(localityTicks)))
	ours := map[string]*ebpf.Map{}
	for name, m := range spec.Maps {
		if name[0] == '.' || name == rehearsalMapSteps {
			continue
		}
		pinned, err := ebpf.LoadPinnedMap(filepath.Join(r.options.PinDir, name), nil)
		ok(r, err)
		defer pinned.Close()
		m.MaxEntries, ours[name] = pinned.MaxEntries(), pinned
	}
	h := &rehearsal{rig: r}
	ok(r, spec.LoadAndAssign(&h.objects, &ebpf.CollectionOptions{MapReplacements: ours}))
	r.Cleanup(func() { ok(r, h.objects.Close()) })
	return h
}

// set tells what a slot's backend has.
func (h *rehearsal) set(slot uint32, active, inactive int, overloaded bool) {
	step := rehearsalStep{Slot: slot, Flows: uint64(active)<<32 | uint64(uint32(inactive)), Chosen: noSlot}
	if overloaded {
		step.Overloaded = 1
	}
	h.steps = append(h.steps, step)
}

// ask makes a choice, at a time and with the dice so.
func (h *rehearsal) ask(v lb.VIP, src, dst netip.AddrPort, now, dice uint64) {
	step := rehearsalStep{Slot: noSlot, Now: now, Dice: dice, Chosen: noSlot}
	step.Service.Addr.Word = toAddress(v.Addr.Addr()).Word
	step.Service.Port, step.Service.Proto = toPort(v.Addr.Port()), toKey(v.Match()).Proto
	step.Request.Client.Word = toAddress(src.Addr()).Word
	step.Request.Port = toPort(src.Port())
	step.Request.Destination.Word = toAddress(dst.Addr()).Word
	h.steps = append(h.steps, step)
}

// run takes all steps and returns what each chose.
func (h *rehearsal) run() []uint32 {
	h.Helper()
	n := len(h.steps)
	keys := make([]uint32, n)
	for i := range keys {
		keys[i] = uint32(i)
	}
	_, err := h.objects.Steps.BatchUpdate(keys, h.steps, nil)
	ok(h, err)
	count := binary.NativeEndian.AppendUint32(nil, uint32(n))
	_, err = h.objects.Rehearse.Run(&ebpf.RunOptions{Context: count})
	ok(h, err)
	ok(h, readArray(h.objects.Steps, h.steps[:n:n]))
	chosen := make([]uint32, n)
	for i, step := range h.steps {
		chosen[i] = step.Chosen
	}
	h.steps = h.steps[:0]
	return chosen
}

// dice are the rehearsal's: splitmix64.
type dice uint64

func (d *dice) draw(n uint32) uint32 {
	*d += 0x9e3779b97f4a7c15
	z := uint64(*d)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return uint32((z ^ z>>31) % uint64(n))
}
