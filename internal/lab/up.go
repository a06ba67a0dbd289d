package lab

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"slices"

	"lbctl/internal/scenario"
)

// passes is how often Up looks again. The second pass finds what deletions
// took along (a route with its link) or nothing; a third is never needed
// unless somebody else works on the same lab.
const passes = 4

// Plan lists what Up would do now. It changes nothing.
func Plan(o Options, t scenario.Topology) ([]Change, error) {
	o = o.withDefaults()
	if err := check(t); err != nil {
		return nil, err
	}
	reg, err := current(o, t.Lab)
	if err != nil {
		return nil, fmt.Errorf("plan lab %s: %w", t.Lab, err)
	}
	b, err := newBuilder(o, reg)
	if err != nil {
		return nil, fmt.Errorf("plan lab %s: %w", t.Lab, err)
	}
	defer b.close()
	steps, err := b.look(t, false)
	if err != nil {
		return nil, fmt.Errorf("plan lab %s: %w", t.Lab, err)
	}
	return changesOf(steps), nil
}

// Up makes the kernel have what the topology says, by as few changes as
// possible, and returns them. After an error, or a kill at any moment, the lab
// is half-way: Up completes it, Down removes it. The changes returned with an
// error are those that were done.
func Up(ctx context.Context, o Options, t scenario.Topology) (*Lab, []Change, error) {
	o = o.withDefaults()
	if err := check(t); err != nil {
		return nil, nil, err
	}
	unlock, err := o.lock(ctx, t.Lab)
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	reg, changes, err := up(ctx, o, t)
	if err != nil {
		return nil, changes, fmt.Errorf("up lab %s: %w", t.Lab, err)
	}
	return &Lab{folder: o.folder(t.Lab), registry: reg}, changes, nil
}

func up(ctx context.Context, o Options, t scenario.Topology) (*registry, []Change, error) {
	reg, err := current(o, t.Lab)
	if err != nil {
		return nil, nil, err
	}
	b, err := newBuilder(o, reg)
	if err != nil {
		return nil, nil, err
	}
	defer b.close()
	begun := false
	for pass := range passes {
		steps, err := b.look(t, pass == 0 && !reg.Complete)
		if err != nil {
			return nil, b.done, err
		}
		if len(steps) == 0 && (begun || reg.Complete) {
			return reg, b.done, b.end(begun, t)
		}
		if !begun {
			if err := b.begin(t); err != nil {
				return nil, nil, err
			}
			begun = true
		}
		if err := b.do(ctx, steps); err != nil {
			return nil, b.done, err
		}
	}
	steps, err := b.look(t, false)
	if err == nil && len(steps) > 0 {
		err = fmt.Errorf("what was done does not last: %v", changesOf(steps))
	}
	if err == nil {
		err = b.end(true, t)
	}
	return reg, b.done, err
}

// current is the lab's registry, or a new one, not yet written, where there is
// none or only one of another boot.
func current(o Options, lab string) (*registry, error) {
	dir := o.folder(lab)
	reg, err := loadRegistry(dir)
	if err == nil && reg.ofThisBoot() {
		return reg, nil
	}
	if err != nil && !absent(err) {
		return nil, err
	}
	// Nothing is registered, so nothing may be mounted.
	mounts, err := mountsBelow(string(dir))
	if err != nil {
		return nil, err
	}
	if len(mounts) > 0 {
		return nil, fmt.Errorf("find mounts %v: %w; unmount them", mounts, ErrForeign)
	}
	return newRegistry(o, lab)
}

func newBuilder(o Options, reg *registry) (*builder, error) {
	sys, err := openProcSys()
	if err != nil {
		return nil, err
	}
	return &builder{options: o, dir: o.folder(reg.Lab), registry: reg, sys: sys, spaces: map[string]*space{}}, nil
}

// begin writes down what is on its way, before anything is made.
func (b *builder) begin(t scenario.Topology) error {
	fresh := len(b.registry.Topologies) == 0
	if fresh { // and what another boot or a killed Down has left goes
		if err := os.RemoveAll(string(b.dir)); err != nil {
			return fmt.Errorf("remove leftovers: %w", err)
		}
	}
	for _, dir := range []string{b.dir.path(), b.dir.path("netns"), b.dir.path("log")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
	}
	b.registry.begin(t)
	b.registry.Version = b.options.Version
	if err := b.registry.save(b.dir); err != nil {
		return err
	}
	return mountBPFFS(b.dir.bpffs())
}

// end writes down that the lab is complete, if that is news.
func (b *builder) end(begun bool, t scenario.Topology) error {
	if !begun && isBPFFS(b.dir.bpffs()) && reflect.DeepEqual(b.registry.last(), t) {
		return nil
	}
	if err := mountBPFFS(b.dir.bpffs()); err != nil {
		return err
	}
	b.registry.finish(t)
	return b.registry.save(b.dir)
}

// look observes and compares. The spaces it finds open replace the former.
func (b *builder) look(t scenario.Topology, halfWay bool) ([]step, error) {
	keys := keysToObserve(append(slices.Clone(b.registry.Topologies), t)...)
	seen, err := observe(b.dir, b.registry, b.sys, keys)
	if err != nil {
		return nil, err
	}
	b.closeSpaces()
	for name, state := range seen.nodes {
		b.spaces[name] = state.space
	}
	return diff(b.registry, t, seen, halfWay), nil
}

func (b *builder) closeSpaces() {
	for name, s := range b.spaces {
		s.close()
		delete(b.spaces, name)
	}
}

func (b *builder) close() {
	b.closeSpaces()
	b.sys.close()
}
