package lab

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"lbctl/internal/netns"
	"lbctl/internal/scenario"
)

// parallel bounds how many nodes are worked on at a time.
const parallel = 8

// parallel is 1 where the kernel does everything under one lock (RTNL). More
// would not only queue there: a write to a sysctl that needs the lock spins
// for it (restart_syscall), which doubles the time of 200 nodes.
func (p phase) parallel() int {
	if p == networks || p == wires {
		return 1
	}
	return parallel
}

// builder does steps. It owns the open namespaces while Up runs.
type builder struct {
	options  Options
	dir      folder
	registry *registry
	sys      procSys
	spaces   map[string]*space // by node, and the hub

	mu    sync.Mutex // guards what follows, and registry in the phase remove
	done  []Change
	count int
	total int
}

// do works through the phases; within a phase nodes are worked on side by
// side. It stops at the first error; done lists what was completed.
func (b *builder) do(ctx context.Context, steps []step) error {
	b.total += len(steps)
	for p := range phases {
		start := time.Now()
		var order []string
		byNode := map[string][]step{}
		for _, s := range steps {
			if s.phase != p {
				continue
			}
			if byNode[s.node] == nil {
				order = append(order, s.node)
			}
			byNode[s.node] = append(byNode[s.node], s)
		}
		if len(order) == 0 {
			continue
		}
		if p == namespaces {
			if err := b.makeNamespaces(ctx, order); err != nil {
				return err
			}
		}
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(p.parallel())
		for _, node := range order {
			group.Go(func() error { return b.doNode(ctx, byNode[node]) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
		if p == remove {
			if err := b.registry.save(b.dir); err != nil {
				return err
			}
		}
		b.options.Log.Debug("phase done", "lab", b.registry.Lab, "phase", p, "nodes", len(order), "took", time.Since(start))
	}
	return nil
}

func (b *builder) doNode(ctx context.Context, steps []step) error {
	for _, s := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.do != nil {
			if err := s.do(ctx, b); err != nil {
				return err
			}
		}
		b.finished(s)
	}
	return nil
}

func (b *builder) finished(s step) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count++
	what := "prepare " + s.node
	if s.Op != "" {
		b.done = append(b.done, s.Change)
		what = s.Change.String()
	}
	b.options.Progress(b.count, b.total, what)
}

// makeNamespaces makes all, writes them down at once, and only then names
// them. Until then they die with this process.
func (b *builder) makeNamespaces(ctx context.Context, nodes []string) error {
	handles := make([]*netns.Handle, len(nodes))
	defer func() {
		for i, h := range handles {
			if h != nil && b.spaces[nodes[i]] == nil {
				_ = h.Close()
			}
		}
	}()
	if err := each(ctx, nodes, func(i int, _ string) (err error) {
		handles[i], err = netns.New()
		return err
	}); err != nil {
		return err
	}
	var lost []namespace // what had these nodes' names before
	for i, node := range nodes {
		if entry, ok := b.registry.namespace(node); ok {
			lost = append(lost, entry)
		}
		b.registry.put(namespace{Node: node, Cookie: handles[i].Cookie(), Inode: handles[i].Inode(), Path: b.dir.netns(node)})
	}
	if len(lost) > 0 { // whatever still runs in them cannot be found once they are forgotten
		if err := endAll(lost); err != nil {
			return err
		}
	}
	if err := b.registry.save(b.dir); err != nil {
		return err
	}
	return each(ctx, nodes, func(i int, node string) error {
		if err := handles[i].Pin(b.dir.netns(node)); err != nil {
			return err
		}
		space, err := openSpace(handles[i])
		if err != nil {
			handles[i] = nil // openSpace closed it
			return err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.spaces[node] = space
		return nil
	})
}

// each calls f for every node, some at a time.
func each(ctx context.Context, nodes []string, f func(i int, node string) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, node := range nodes {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return f(i, node)
		})
	}
	return group.Wait()
}

// removeNode ends a node that the topology no longer has.
func (b *builder) removeNode(entry namespace, ports []string) error {
	if err := endAll([]namespace{entry}); err != nil {
		return fmt.Errorf("remove node %s: %w", entry.Node, err)
	}
	for _, port := range ports { // now, not when the kernel gets round to it
		if err := b.deleteLink(hub, port); err != nil {
			return err
		}
	}
	if err := netns.Unpin(b.dir.netns(entry.Node)); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.registry.drop(entry.Node)
	return nil
}

// prepare sets up a fresh namespace, before it has links.
func (b *builder) prepare(node string, sysctls []scenario.Sysctl) error {
	err := b.spaces[node].ns.Do(func() error {
		for _, s := range sysctls {
			if _, ok := b.sys.read(s.Key); !ok {
				continue
			}
			if err := b.sys.set(s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("prepare namespace of %s: %w", node, err)
	}
	return b.setUp(node, "lo")
}

func (b *builder) setSysctl(node string, s scenario.Sysctl) error {
	err := b.spaces[node].ns.Do(func() error { return b.sys.set(s) })
	if err != nil {
		return fmt.Errorf("configure %s: %w", node, err)
	}
	return nil
}
