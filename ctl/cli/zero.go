package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"lbctl/ctl"
	"lbctl/internal/ipvsadm"
	"lbctl/internal/lb"
)

// zeroFile, beside the daemon's socket, holds what had been counted when -Z was
// said. The counters themselves only grow, because others measure by their
// differences; ipvsadm's listings show what came since.
const zeroFile = "zero.json"

func (l *session) readZero() (ipvsadm.Sample, error) {
	data, err := os.ReadFile(filepath.Join(l.folder, zeroFile))
	if errors.Is(err, fs.ErrNotExist) {
		return ipvsadm.Sample{}, nil
	}
	var zero ipvsadm.Sample
	if err == nil {
		err = json.Unmarshal(data, &zero)
	}
	if err != nil {
		return zero, fmt.Errorf("read what counts as zero: %w", err)
	}
	return zero, nil
}

// writeZero puts the file in place as a whole.
func (l *session) writeZero(zero ipvsadm.Sample) error {
	data, err := json.Marshal(zero)
	if err != nil {
		return fmt.Errorf("write what counts as zero: %w", err)
	}
	f, err := os.CreateTemp(l.folder, ".zero-*")
	if err != nil {
		return fmt.Errorf("write what counts as zero: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(l.folder, zeroFile))
	}
	if err != nil {
		return fmt.Errorf("write what counts as zero: %w", err)
	}
	return nil
}

// forgetZero forgets services that are gone, so that another one of such a name
// begins with its own counters.
func (l *session) forgetZero(st ctl.Status) error {
	zero, err := l.readZero()
	if err != nil {
		return err
	}
	before := len(zero.Services)
	maps.DeleteFunc(zero.Services, func(name string, _ lb.ServiceStats) bool {
		_, there := st.Service(name)
		return !there
	})
	if len(zero.Services) == before {
		return nil
	}
	return l.writeZero(zero)
}

// zero makes counters begin anew, of all services or of the one named, after
// what was said before it has happened.
func (k *labKernel) zero(c ipvsadm.Command) error {
	if err := k.Commit(); err != nil {
		return err
	}
	st, err := k.session.status(k.context.Context)
	if err != nil {
		return err
	}
	now, err := k.count(k.context.Context)
	if err != nil {
		return err
	}
	zero, err := k.session.readZero()
	if err != nil {
		return err
	}
	next := ipvsadm.Sample{At: now.At, Services: map[string]lb.ServiceStats{}}
	for name, counted := range now.Services {
		svc, ok := st.Service(name)
		if c.Options.Has(ipvsadm.OptService) && (!ok || ipvsadm.KeyOf(lb.Service{VIP: svc.VIP, L4: svc.L4}) != c.Service.Key) {
			counted = zero.Services[name]
		}
		next.Services[name] = counted
	}
	return k.session.writeZero(next)
}
