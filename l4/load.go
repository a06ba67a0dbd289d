package l4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"lbctl/internal/lb"
)

// ErrIncompatible means that pinned maps were made by an lbctl whose maps have
// another layout.
var ErrIncompatible = errors.New("pinned maps have another layout than this lbctl's: take the lab down and up again, or remove the pin folder")

// objects are the program and its maps in the kernel.
type objects struct {
	xdpPrograms
	xdpMaps
	table   *ebpf.MapSpec // of a service's table, without its size
	classes *ebpf.MapSpec // of the classes of ports

	spec  *ebpf.CollectionSpec
	dir   string
	ready map[string]bool // of hookPrograms; in the place of another is an empty one
}

// hookPrograms are those that packets meet, by name. The verifier takes a good part of
// a second for each, so provide() loads only those of the hooks in use.
var hookPrograms = []string{xdpProgBalance, xdpProgBalanceTcx}

// templateShare: a client has more than one flow at a time, or there is no point
// in persistence.
const templateShare = 8

// xdpPin and tcxPin are the programs' names in the pin folder. Maps have their
// own names there, links those of pinOf.
const (
	xdpPin = xdpProgBalance
	tcxPin = xdpProgBalanceTcx
)

// load makes the objects or takes over what is pinned in dir. A folder that a crash left
// half filled, or half emptied, is begun anew.
func (o *objects) load(options Options) error {
	dir := options.PinDir
	if err := unpinHalf(dir); err != nil {
		return err
	}
	spec, err := prepare(options)
	if err != nil {
		return err
	}
	quick := spec.Copy()
	for _, name := range hookPrograms {
		quick.Programs[name].Instructions = nothing()
	}
	var loaded struct {
		xdpPrograms
		xdpMaps
	}
	err = quick.LoadAndAssign(&loaded, &ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: dir}})
	if errors.Is(err, ebpf.ErrMapIncompatible) {
		return fmt.Errorf("%w (%w)", ErrIncompatible, err)
	}
	if err != nil {
		return fmt.Errorf("load programs: %w", err)
	}
	o.xdpPrograms, o.xdpMaps = loaded.xdpPrograms, loaded.xdpMaps
	o.spec, o.dir, o.ready = spec, dir, map[string]bool{}
	o.table = spec.Maps[xdpMapTables].InnerMap
	o.classes = spec.Maps[xdpMapPortClasses].InnerMap
	return o.checkLayout()
}

// unpinHalf forgets maps and programs unless all maps were there once. That is known by the
// layout, which is written after them and is the first to go when links have gone (see Flush).
func unpinHalf(dir string) error {
	about, err := pinnedAbout(dir)
	if err != nil || about.Layout != 0 {
		return err
	}
	names, err := pins(dir)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(names, isLinkPin) {
		return fmt.Errorf("%w (%s is missing, and programs are attached)", ErrIncompatible, xdpMapAboutMaps)
	}
	spec, err := loadSpec()
	if err != nil {
		return err
	}
	for _, name := range slices.Concat(slices.Collect(maps.Keys(spec.Maps)), hookPrograms) {
		if !isPinned(name) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("unpin what is left of another plane: %w", err)
		}
	}
	return nil
}

// pinnedAbout returns what is told of the pinned maps, zeros if nothing is.
func pinnedAbout(dir string) (about xdpAbout, err error) {
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, xdpMapAboutMaps), nil)
	if errors.Is(err, os.ErrNotExist) {
		return about, nil
	}
	if err != nil {
		return about, fmt.Errorf("open what is told of pinned maps: %w", err)
	}
	defer m.Close()
	if int(m.ValueSize()) != binary.Size(about) {
		return about, ErrIncompatible
	}
	if err := m.Lookup(uint32(0), &about); err != nil {
		return about, fmt.Errorf("read what is told of pinned maps: %w", err)
	}
	return about, nil
}

// provide loads and pins the program of a hook, unless it is there or the one pinned is
// the same.
func (o *objects) provide(hook lb.Hook) error {
	name, place := xdpPin, &o.Balance
	if hook == lb.HookTCX {
		name, place = tcxPin, &o.BalanceTcx
	}
	if o.ready[name] {
		return nil
	}
	p, err := pinnedProgram(o.spec, name, o.dir)
	if err == nil && p == nil {
		p, err = o.loadPinned(name)
	}
	if err != nil {
		return fmt.Errorf("load program of hook %s: %w", hook, err)
	}
	err = (*place).Close()
	*place, o.ready[name] = p, true
	return err
}

// loadPinned loads one program over the maps that are pinned, and pins it.
func (o *objects) loadPinned(name string) (*ebpf.Program, error) {
	one := o.spec.Copy()
	one.Programs = map[string]*ebpf.ProgramSpec{name: one.Programs[name]}
	c, err := ebpf.NewCollectionWithOptions(one, ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: o.dir}})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	p := c.DetachProgram(name)
	if err := keepProgram(&p, filepath.Join(o.dir, name)); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// unpinIdle forgets programs that were pinned for hooks no longer in use.
func (o *objects) unpinIdle() error {
	for _, name := range hookPrograms {
		if o.ready[name] {
			continue
		}
		if err := os.Remove(filepath.Join(o.dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("unpin program: %w", err)
		}
	}
	return nil
}

// loadSpec reads the object file. Tests put another lbctl's in its place.
var loadSpec = loadXdp

// prepare returns what is to be loaded.
func prepare(o Options) (*ebpf.CollectionSpec, error) {
	spec, err := loadSpec()
	if err != nil {
		return nil, err
	}
	if err := spec.Variables[xdpVarBuild].Set(build(spec)); err != nil {
		return nil, fmt.Errorf("set hash of the programs: %w", err)
	}
	for _, m := range spec.Maps {
		if isPinned(m.Name) {
			m.Pinning = ebpf.PinByName
		}
	}
	if err := sizeFlowTables(spec, o.MaxFlows, o.PinDir); err != nil {
		return nil, fmt.Errorf("set size of the flow tables: %w", err)
	}
	templates := spec.Maps[xdpMapTemplates]
	templates.MaxEntries = uint32(max(o.MaxFlows/templateShare, 1))
	if pinned, err := ebpf.LoadPinnedMap(filepath.Join(o.PinDir, xdpMapTemplates), nil); err == nil {
		templates.MaxEntries = pinned.MaxEntries()
		if err := pinned.Close(); err != nil {
			return nil, fmt.Errorf("close pinned table of templates: %w", err)
		}
	}
	day, err := jiffies(24 * time.Hour)
	if err != nil {
		return nil, err
	}
	if err := spec.Variables[xdpVarLocalityExpiration].Set(uint64(day)); err != nil {
		return nil, fmt.Errorf("set expiration of localities: %w", err)
	}
	second, err := jiffies(time.Second)
	if err != nil {
		return nil, err
	}
	if err := spec.Variables[xdpVarHz].Set(second); err != nil {
		return nil, fmt.Errorf("set length of a second: %w", err)
	}
	return spec, nil
}

// isPinned is false for .rodata and the like, which belong to one program.
func isPinned(name string) bool { return name[0] != '.' }

// nothing is a program for which there is no use.
func nothing() asm.Instructions { return asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()} }

// checkLayout refuses maps whose sizes match by chance only.
func (o *objects) checkLayout() error {
	var about xdpAbout
	if err := o.AboutMaps.Lookup(uint32(0), &about); err != nil {
		return fmt.Errorf("read layout: %w", err)
	}
	var secrets [10]uint64
	if err := o.spec.Variables[xdpVarSecrets].Get(&secrets); err != nil {
		return fmt.Errorf("read secrets of the flow tables: %w", err)
	}
	switch about.Layout {
	case layout():
		if about.Secrets != secrets {
			return ErrIncompatible // they were made while this was being loaded
		}
		return nil
	case 0: // fresh
		about.Layout, about.Secrets = layout(), secrets
		if err := o.AboutMaps.Put(uint32(0), about); err != nil {
			return fmt.Errorf("write layout: %w", err)
		}
		return nil
	}
	return ErrIncompatible
}

// layout is a hash of the types of all maps, and of what else their bytes mean. It is never 0.
func layout() uint64 {
	h := fnv.New64a()
	fmt.Fprintln(h, flowTablesVersion)
	for _, v := range []any{
		xdpAddress{},
		xdpVip{},
		xdpPrefix{},
		xdpService{},
		xdpBackend{},
		xdpServerKey{},
		xdpServer{},
		xdpTuple4{},
		xdpTuple6{},
		xdpFlow{},
		xdpFlow4{},
		xdpEntry4{},
		xdpEntry6{},
		xdpReferences{},
		xdpVacancy{},
		xdpLine{},
		xdpDestination{},
		xdpLocality{},
		xdpLoad{},
		xdpSetting{},
		xdpPersistence{},
		xdpClients{},
		xdpTemplate{},
		xdpDefence{},
		xdpNews{},
		xdpCounters{},
		xdpPort{},
		xdpName{},
		xdpRetirement{},
		xdpAbout{},
	} {
		t := reflect.TypeOf(v)
		for i := range t.NumField() {
			f := t.Field(i)
			fmt.Fprintf(h, "%s.%s %s %d\n", t.Name(), f.Name, f.Type, f.Offset)
		}
	}
	return h.Sum64() | 1
}

// keepProgram goes on with the pinned program if it is the same as the one just
// loaded, because the kernel's account of its run time goes with it.
func keepProgram(loaded **ebpf.Program, pin string) error {
	old, err := ebpf.LoadPinnedProgram(pin, nil)
	if err == nil {
		same, err := sameProgram(old, *loaded)
		if err != nil || same {
			*loaded, old = old, *loaded
		}
		err = errors.Join(err, old.Close())
		if err != nil || same {
			return err
		}
	}
	return replacePin(*loaded, pin)
}

// replacePin pins a program in place of what was pinned there.
func replacePin(program *ebpf.Program, pin string) error {
	if err := os.Remove(pin); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("unpin program: %w", err)
	}
	if err := program.Pin(pin); err != nil {
		return fmt.Errorf("pin program: %w", err)
	}
	return nil
}

// sameProgram compares instructions and maps. Of these, .rodata is each
// program's own and is compared by what it holds.
func sameProgram(a, b *ebpf.Program) (bool, error) {
	ai, err := a.Info()
	if err != nil {
		return false, fmt.Errorf("read pinned program: %w", err)
	}
	bi, err := b.Info()
	if err != nil {
		return false, fmt.Errorf("read loaded program: %w", err)
	}
	am, _ := ai.MapIDs()
	bm, _ := bi.MapIDs()
	if ai.Tag != bi.Tag || len(am) != len(bm) {
		return false, nil
	}
	ours, theirs := without(bm, am), without(am, bm)
	if len(ours) == 0 {
		return true, nil
	}
	if len(ours) > 1 {
		return false, nil
	}
	x, err := constants(theirs[0])
	if err != nil {
		return false, err
	}
	y, err := constants(ours[0])
	return bytes.Equal(x, y), err
}

// constants returns what a program's .rodata holds, or nil for another map.
func constants(id ebpf.MapID) ([]byte, error) {
	m, err := ebpf.NewMapFromID(id)
	if err != nil {
		return nil, fmt.Errorf("open constants: %w", err)
	}
	defer m.Close()
	if m.Type() != ebpf.Array || m.MaxEntries() != 1 {
		return nil, nil
	}
	out, err := m.LookupBytes(uint32(0))
	if err != nil {
		return nil, fmt.Errorf("read constants: %w", err)
	}
	return out, nil
}

// without returns what is in all, but not in known.
func without[T comparable](all, known []T) []T {
	return slices.DeleteFunc(slices.Clone(all), func(x T) bool { return slices.Contains(known, x) })
}

func (o *objects) close() error {
	if o.Balance == nil {
		return nil
	}
	err := errors.Join(o.xdpPrograms.Close(), o.xdpMaps.Close())
	*o = objects{}
	return err
}
