package ctl

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"time"

	"lbctl/internal/lb"
)

// stateFormat is raised whenever an older lbctl could misread the file.
const stateFormat = 1

// stateFile is the state as state.json has it.
type stateFile struct {
	Format         int          `json:"format"`
	Lab            string       `json:"lab"`
	Revision       uint64       `json:"revision"`
	ConfigRevision uint64       `json:"config_revision"`
	NextID         lb.BackendID `json:"next_id"`
	Planes         []lb.Plane   `json:"planes"`
	Timeouts       lb.Timeouts  `json:"timeouts,omitzero"` // set at runtime
	StickyKey      string       `json:"sticky_key,omitempty"`
	Config         lb.Config    `json:"config"`
	Members        []memberFile `json:"members"`
	Health         []healthFile `json:"health"`
}

type memberFile struct {
	Service string         `json:"service"`
	Addr    netip.AddrPort `json:"addr"`
	ID      lb.BackendID   `json:"id"`
	Admin   lb.Admin       `json:"admin"`
	Weight  *uint32        `json:"weight,omitempty"`
}

type healthFile struct {
	lb.Target
	Health lb.Health `json:"health"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason,omitempty"`
}

// saveState replaces the file at path as a whole.
func saveState(path, lab string, s state) error {
	data, err := encodeState(lab, s)
	if err == nil {
		err = writeFileAtomic(path, data)
	}
	if err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	return nil
}

func encodeState(lab string, s state) ([]byte, error) {
	f := stateFile{
		Format: stateFormat, Lab: lab, Revision: s.revision, ConfigRevision: s.configRevision,
		NextID: s.nextID, Planes: s.planes, Timeouts: s.timeouts, StickyKey: s.stickyKey, Config: s.config,
	}
	for key, m := range s.members {
		f.Members = append(f.Members, memberFile{key.service, key.addr, m.id, m.admin, m.weight})
	}
	slices.SortFunc(f.Members, func(a, b memberFile) int { return cmp.Compare(a.ID, b.ID) })
	for t, h := range s.health {
		f.Health = append(f.Health, healthFile{t, h.health, h.since, h.reason})
	}
	slices.SortFunc(f.Health, func(a, b healthFile) int {
		return cmp.Or(cmp.Compare(a.Check, b.Check), a.Addr.Compare(b.Addr))
	})
	data, err := json.MarshalIndent(f, "", " ")
	return append(data, '\n'), err
}

// loadState returns what saveState left, or a new state if there is no file. A
// file that it does not understand whole is an error: to start afresh beside
// planes that still forward would hand out IDs that mean something else to them.
func loadState(path, lab string) (state, error) {
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return newState(), nil
	case err != nil:
		return state{}, fmt.Errorf("load state: %w", err)
	}
	s, err := decodeState(data, lab)
	if err != nil {
		return state{}, fmt.Errorf("load state %s: %w", path, err)
	}
	return s, nil
}

func decodeState(data []byte, lab string) (state, error) {
	var f stateFile
	if err := decodeStrict(bytes.NewReader(data), &f); err != nil {
		return state{}, err
	}
	if err := f.validate(lab); err != nil {
		return state{}, err
	}
	s := newState()
	s.revision, s.configRevision, s.nextID = f.Revision, f.ConfigRevision, f.NextID
	s.planes, s.timeouts, s.config, s.stickyKey = f.Planes, f.Timeouts, f.Config, f.StickyKey
	for _, m := range f.Members {
		s.members[memberKey{m.Service, m.Addr}] = member{m.ID, m.Admin, m.Weight}
	}
	for _, h := range f.Health {
		s.health[h.Target] = finding{h.Health, h.Since, h.Reason}
	}
	return s, nil
}

func (f stateFile) validate(lab string) error {
	switch {
	case f.Format != stateFormat:
		return fmt.Errorf("format %d, this lbctl reads %d", f.Format, stateFormat)
	case f.NextID == 0:
		return errors.New("the next backend's ID is 0, which is no backend's")
	case f.Lab != lab:
		return fmt.Errorf("it is lab %q's, not %q's", f.Lab, lab)
	}
	ids := map[lb.BackendID]bool{}
	members := map[memberKey]bool{}
	for _, m := range f.Members {
		if m.ID == 0 || m.ID >= f.NextID || ids[m.ID] {
			return fmt.Errorf("backend ID %d of %s in service %s is 0, taken or not yet given out", m.ID, m.Addr, m.Service)
		}
		ids[m.ID], members[memberKey{m.Service, m.Addr}] = true, true
	}
	for _, svc := range f.Config.Services {
		for _, b := range svc.Backends {
			if !members[memberKey{svc.Name, b.Addr}] {
				return fmt.Errorf("backend %s/%s has no ID", svc.Name, b.Name)
			}
		}
	}
	return validate(f.Config)
}
