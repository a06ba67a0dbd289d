package l4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// A pinned program that this lbctl would load once more is not loaded: the verifier
// takes a second and more for it. What a program was made from is one of its own
// constants, so nothing is kept beside it that could be of another.

// build is a hash of the object file and of the instructions as they are before
// they are loaded.
func build(spec *ebpf.CollectionSpec) uint64 {
	h := fnv.New64a()
	h.Write(_XdpBytes)
	var line [24]byte
	for _, name := range hookPrograms {
		for _, ins := range spec.Programs[name].Instructions {
			binary.LittleEndian.PutUint64(line[:], uint64(ins.OpCode))
			line[8], line[9] = byte(ins.Dst), byte(ins.Src)
			binary.LittleEndian.PutUint16(line[10:], uint16(ins.Offset))
			binary.LittleEndian.PutUint64(line[16:], uint64(ins.Constant))
			h.Write(line[:])
			h.Write([]byte(ins.Reference()))
		}
	}
	return h.Sum64()
}

// pinnedProgram returns the plane's pinned program of that name if spec would make it
// again, or nil.
func pinnedProgram(spec *ebpf.CollectionSpec, name, dir string) (*ebpf.Program, error) {
	p, err := ebpf.LoadPinnedProgram(filepath.Join(dir, name), nil)
	if err != nil {
		return nil, nil // there is none, or none that can be kept
	}
	same, err := isMadeOf(p, spec, name, dir)
	if err == nil && same {
		return p, nil
	}
	if err := errors.Join(err, p.Close()); err != nil {
		return nil, fmt.Errorf("compare pinned program: %w", err)
	}
	return nil, nil
}

// isMadeOf reports whether the program has the pinned maps, each that spec's refers
// to and no other, and the same constants.
func isMadeOf(p *ebpf.Program, spec *ebpf.CollectionSpec, name, dir string) (bool, error) {
	info, err := p.Info()
	if err != nil {
		return false, err
	}
	ids, _ := info.MapIDs()
	wanted, data := references(spec.Programs[name].Instructions)
	if len(data) != 1 || len(ids) != len(wanted)+1 {
		return false, nil
	}
	for _, name := range wanted {
		id, err := pinnedID(filepath.Join(dir, name))
		at := slices.Index(ids, id)
		if err != nil || at < 0 {
			return false, nil
		}
		ids = slices.Delete(ids, at, at+1)
	}
	has, err := constants(ids[0])
	if err != nil {
		return false, err
	}
	for _, v := range spec.Variables {
		end := int(v.Offset) + len(v.Value)
		if v.SectionName == data[0] && (end > len(has) || !bytes.Equal(has[v.Offset:end], v.Value)) {
			return false, nil
		}
	}
	return true, nil
}

// references are the names of the maps that instructions refer to, and of those the program's own data.
func references(all asm.Instructions) (maps, data []string) {
	for _, ins := range all {
		name := ins.Reference()
		switch {
		case !ins.IsLoadFromMap() || slices.Contains(maps, name) || slices.Contains(data, name):
		case name[0] == '.':
			data = append(data, name)
		default:
			maps = append(maps, name)
		}
	}
	return maps, data
}

func pinnedID(pin string) (ebpf.MapID, error) {
	m, err := ebpf.LoadPinnedMap(pin, nil)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil {
		return 0, err
	}
	id, _ := info.ID()
	return id, nil
}
