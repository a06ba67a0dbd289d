package l4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
)

// The verifier takes a good part of a second for a program, and a test that has a plane of
// its own is over in less. So a test leaves its pin folder to the next one, with the
// programs and with maps that hold what new ones do; Open finds out whether it would
// load just these programs. A folder of which anything is missing, or of another make, is removed.

// spares are the folders that nobody has, by the size of their flow tables.
var spares = struct {
	sync.Mutex
	made    int
	folders map[int][]string
	specs   map[int]*ebpf.CollectionSpec // of their maps
}{folders: map[int][]string{}, specs: map[int]*ebpf.CollectionSpec{}}

// takeFolder returns a pin folder for a plane with that many flows. The test must return it.
func takeFolder(t testing.TB, maxFlows int) string {
	t.Helper()
	spares.Lock()
	defer spares.Unlock()
	if all := spares.folders[maxFlows]; len(all) > 0 {
		last := len(all) - 1
		spares.folders[maxFlows] = all[:last]
		return all[last]
	}
	spares.made++
	dir := filepath.Join(bpffs, fmt.Sprintf("spare-%d-%d", os.Getpid(), spares.made)) // another process may have the same file system
	ok(t, os.Mkdir(dir, 0o700))
	return dir
}

// returnFolder takes a folder back on which no plane is open any more. Those of benchmarks
// are too large to be worth it.
func returnFolder(t testing.TB, dir string, maxFlows int) {
	t.Helper()
	whole := false
	if !t.Failed() && maxFlows <= wiresFlows {
		var err error
		whole, err = wipe(dir, maxFlows)
		ok(t, err)
	}
	if !whole {
		ok(t, os.RemoveAll(dir))
		return
	}
	spares.Lock()
	defer spares.Unlock()
	spares.folders[maxFlows] = append(spares.folders[maxFlows], dir)
}

// wipe leaves the maps of a plane in the folder, as they were before it forwarded
// anything, and its programs. It reports whether all are there.
func wipe(dir string, maxFlows int) (whole bool, err error) {
	spec, err := specFor(maxFlows)
	if err != nil {
		return false, err
	}
	names, err := pins(dir)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		if l, err := link.LoadPinnedLink(filepath.Join(dir, name), nil); err == nil {
			if err := errors.Join(l.Detach(), l.Close()); err != nil {
				return false, fmt.Errorf("detach %s: %w", name, err)
			}
		}
		if m := spec.Maps[name]; m == nil && !slices.Contains(hookPrograms, name) {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return false, err
			}
		}
	}
	loaded, err := openMaps(spec, dir)
	if loaded == nil || err != nil {
		return false, err
	}
	defer closeMaps(loaded)
	// What puts a map into another waits for packets under way.
	if err := loaded[xdpMapTables].Put(uint32(noTable), uint32(loaded[xdpMapEmptyTable].FD())); err != nil {
		return false, err
	}
	var about xdpAbout
	if err := loaded[xdpMapAboutMaps].Lookup(uint32(0), &about); err != nil {
		return false, err
	}
	for name, m := range loaded {
		if err := wipeMap(m); err != nil {
			return false, fmt.Errorf("wipe %s: %w", name, err)
		}
	}
	if about.Layout != layout() {
		return false, nil
	}
	about.Revision = 0
	return true, loaded[xdpMapAboutMaps].Put(uint32(0), about)
}

// specFor is what a folder is to be of.
func specFor(maxFlows int) (spec *ebpf.CollectionSpec, err error) {
	spares.Lock()
	defer spares.Unlock()
	if spec = spares.specs[maxFlows]; spec == nil {
		spec, err = prepare(Options{PinDir: filepath.Join(bpffs, "none"), MaxFlows: maxFlows})
		spares.specs[maxFlows] = spec
	}
	return spec, err
}

// openMaps opens what spec would pin in the folder, nil if any of it is missing or of another make.
func openMaps(spec *ebpf.CollectionSpec, dir string) (map[string]*ebpf.Map, error) {
	loaded := map[string]*ebpf.Map{}
	for name, s := range spec.Maps {
		if !isPinned(name) {
			continue
		}
		m, err := ebpf.LoadPinnedMap(filepath.Join(dir, name), nil)
		if err == nil {
			loaded[name] = m
			err = s.Compatible(m)
		}
		if err != nil {
			closeMaps(loaded)
			if errors.Is(err, os.ErrNotExist) || errors.Is(err, ebpf.ErrMapIncompatible) {
				err = nil
			}
			return nil, err
		}
	}
	return loaded, nil
}

func closeMaps(all map[string]*ebpf.Map) {
	for _, m := range all {
		_ = m.Close()
	}
}

func wipeMap(m *ebpf.Map) error {
	switch m.Type() {
	case ebpf.Array, ebpf.PerCPUArray:
		return zero(m)
	case ebpf.RingBuf:
		return readAway(m)
	case ebpf.Hash, ebpf.LRUHash, ebpf.LPMTrie, ebpf.ArrayOfMaps:
		held, err := contents(m)
		for key := range held {
			err = errors.Join(err, m.Delete([]byte(key)))
		}
		return err
	}
	return fmt.Errorf("a map of type %s: no test knows how to wipe it", m.Type())
}

// zero makes all of an array zeros by one system call. The package's own BatchUpdate takes a
// hundred times as long for values of each CPU, value by value with the race detector.
func zero(m *ebpf.Map) error {
	n := m.MaxEntries()
	keys := make([]uint32, n)
	for i := range keys {
		keys[i] = uint32(i)
	}
	size := int(m.ValueSize())
	if m.Type() == ebpf.PerCPUArray {
		size = (size + 7) / 8 * 8 * ebpf.MustPossibleCPU()
	}
	values := make([]byte, int(n)*size)
	attr := struct { // of BPF_MAP_UPDATE_BATCH in union bpf_attr (linux/bpf.h)
		_, _         uint64
		keys, values unsafe.Pointer
		count, fd    uint32
		_, _         uint64
	}{keys: unsafe.Pointer(&keys[0]), values: unsafe.Pointer(&values[0]), count: n, fd: uint32(m.FD())}
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_MAP_UPDATE_BATCH, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno != 0 || attr.count != n {
		return fmt.Errorf("%d of %d entries: %w", attr.count, n, errno)
	}
	return nil
}

func readAway(ring *ebpf.Map) error {
	reader, err := ringbuf.NewReader(ring)
	if err != nil {
		return err
	}
	defer reader.Close()
	var record ringbuf.Record
	for {
		reader.SetDeadline(time.Now())
		if err := reader.ReadInto(&record); errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// contents are what a map holds that a new one does not: values that are not zero by
// their key, of maps in a map that there is one, of a ring how much is in it.
func contents(m *ebpf.Map) (map[string][]byte, error) {
	out := map[string][]byte{}
	switch m.Type() {
	case ebpf.RingBuf:
		reader, err := ringbuf.NewReader(m)
		if err != nil {
			return nil, err
		}
		if n := reader.AvailableBytes(); n > 0 {
			out["bytes"] = fmt.Append(nil, n)
		}
		return out, reader.Close()
	case ebpf.Array, ebpf.PerCPUArray:
		per := 1
		if m.Type() == ebpf.PerCPUArray {
			per = ebpf.MustPossibleCPU()
		}
		n := int(m.MaxEntries())
		value := reflect.ArrayOf(int(m.ValueSize()), reflect.TypeFor[byte]())
		keys, values := make([]uint32, n), reflect.MakeSlice(reflect.SliceOf(value), n*per, n*per)
		var cursor ebpf.MapBatchCursor
		read, err := m.BatchLookup(&cursor, keys, values.Interface(), nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) || read != n {
			return nil, fmt.Errorf("read %d of %d: %w", read, n, err)
		}
		for i := range n * per {
			if v := values.Index(i); !v.IsZero() {
				out[fmt.Sprint(i)] = bytes.Clone(v.Slice(0, v.Len()).Bytes())
			}
		}
		return out, nil
	}
	var key, value []byte
	entries := m.Iterate()
	for entries.Next(&key, &value) {
		out[string(key)] = bytes.Clone(value)
	}
	if m.Type() == ebpf.ArrayOfMaps {
		for key := range out {
			out[key] = nil // a number that no other map has
		}
	}
	return out, entries.Err()
}

// A wiped folder is what Open makes new, in each map, and Open goes on with its program.
func TestAWipedFolderIsAsANewOne(t *testing.T) {
	r := newRig(t)
	spec, err := prepare(r.options)
	ok(t, err)
	read := func(dir string) map[string]map[string][]byte {
		t.Helper()
		loaded, err := openMaps(spec, dir)
		ok(t, err)
		defer closeMaps(loaded)
		out := map[string]map[string][]byte{}
		for name, m := range loaded {
			out[name], err = contents(m)
			ok(t, err)
		}
		return out
	}
	r.apply(snapshot(lb.RoundRobin, backends(2)...))
	ok(t, r.Tell(lb.FlowSynReceived))
	r.send(syn(1))
	program := r.programID()
	ok(t, r.Plane.Close())
	fill(t, spec, r.options.PinDir)

	unused := takeFolder(t, 0) // of no size that is ever returned, so it is empty
	t.Cleanup(func() { ok(t, os.RemoveAll(unused)) })
	var made objects
	options := r.options
	options.PinDir = unused
	ok(t, made.load(options))
	var about xdpAbout
	ok(t, r.aboutMaps(func(m *ebpf.Map) error { return m.Lookup(uint32(0), &about) }))
	about.Revision = 0
	ok(t, made.AboutMaps.Put(uint32(0), about)) // secrets are anybody's
	ok(t, made.close())

	want := read(unused)
	for name, held := range read(r.options.PinDir) {
		if len(held) <= len(want[name]) && name != xdpMapAboutMaps {
			t.Errorf("%s: %d entries, want more than a new one's %d: the test means little", name, len(held), len(want[name]))
		}
	}
	whole, err := wipe(r.options.PinDir, r.options.MaxFlows)
	if !whole || err != nil {
		t.Fatalf("wiped: whole %t, %v", whole, err)
	}
	if diff := cmp.Diff(want, read(r.options.PinDir)); diff != "" {
		t.Errorf("a new folder is not as a wiped one (-new +wiped):\n%s", diff)
	}
	r.reopen()
	if id := r.programID(); id != program {
		t.Errorf("the program is number %d, want %d as before", id, program)
	}
}

// What is not whole, or of another size, is no one's.
func TestAFolderOfAnotherMakeIsNotWiped(t *testing.T) {
	for name, spoil := range map[string]func(r *rig){
		"a map is missing": func(r *rig) { ok(r, os.Remove(filepath.Join(r.options.PinDir, xdpMapLoads))) },
		"other tables":     func(r *rig) { r.options.MaxFlows *= 2 },
		"another layout": func(r *rig) {
			ok(r, r.aboutMaps(func(m *ebpf.Map) error { return m.Put(uint32(0), xdpAbout{Layout: 1}) }))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			ok(t, r.Plane.Close())
			spoil(r)
			if whole, err := wipe(r.options.PinDir, r.options.MaxFlows); whole || err != nil {
				t.Errorf("whole %t, %v, want it not to be", whole, err)
			}
			ok(t, os.RemoveAll(r.options.PinDir))
		})
	}
}

func (r *rig) aboutMaps(do func(*ebpf.Map) error) error {
	m, err := ebpf.LoadPinnedMap(filepath.Join(r.options.PinDir, xdpMapAboutMaps), nil)
	if err != nil {
		return err
	}
	return errors.Join(do(m), m.Close())
}

// fill puts something into each map that is no ring.
func fill(t *testing.T, spec *ebpf.CollectionSpec, dir string) {
	t.Helper()
	loaded, err := openMaps(spec, dir)
	ok(t, err)
	defer closeMaps(loaded)
	for name, m := range loaded {
		some := func() []byte { return bytes.Repeat([]byte{0xa5}, int(m.ValueSize())) }
		switch {
		case name == xdpMapAboutMaps:
			continue // it has a revision
		case m.Type() == ebpf.RingBuf:
		case m.Type() == ebpf.ArrayOfMaps:
			inner, err := ebpf.NewMap(spec.Maps[name].InnerMap)
			ok(t, err)
			for _, key := range []uint32{0, m.MaxEntries() - 1} {
				ok(t, m.Put(key, uint32(inner.FD())))
			}
			ok(t, inner.Close())
		case m.Type() == ebpf.Array || m.Type() == ebpf.PerCPUArray:
			for key := range m.MaxEntries() {
				if m.Type() == ebpf.Array {
					err = m.Put(key, some())
				} else {
					err = m.Put(key, slices.Repeat([][]byte{some()}, ebpf.MustPossibleCPU()))
				}
				ok(t, err)
			}
		default:
			for i := range byte(20) {
				key := bytes.Repeat([]byte{i}, int(m.KeySize()))
				if m.Type() == ebpf.LPMTrie {
					binary.NativeEndian.PutUint32(key, uint32(i))
				}
				ok(t, m.Put(key, some()))
			}
		}
	}
}
