package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"lbctl/internal/lb"
	"lbctl/internal/netns"
	"lbctl/l4"
)

// planes has at most one of ours open. To load it takes the verifier some 17 s
// of counted time, so it stays while arms of its hook follow one another, with
// the services of all of them.
type planes struct {
	links links
	hook  lb.Hook // of the one that is open; empty: none is
	shut  func() error
}

// open opens that of a hook, and closes the one before; of no hook, it only
// closes.
func (p *planes) open(ctx context.Context, hook lb.Hook) error {
	if hook == p.hook {
		return nil
	}
	if err := p.close(); err != nil || hook == "" {
		return err
	}
	shut, err := openPlane(ctx, hook, p.links)
	if err != nil {
		return fmt.Errorf("open plane at %s: %w", hook, err)
	}
	p.hook, p.shut = hook, shut
	return nil
}

func (p *planes) close() error {
	if p.hook == "" {
		return nil
	}
	p.hook = ""
	return p.shut()
}

func openPlane(ctx context.Context, hook lb.Hook, l links) (shut func() error, err error) {
	const pins = "/sys/fs/bpf/lvsbench"
	ns, err := netns.Open("/run/netns/balancer")
	if err != nil {
		return nil, err
	}
	ports, peers := l.balancerPorts()
	options := l4.Options{NetNS: ns, Hook: hook, Interfaces: ports, PinDir: pins, MaxFlows: 1 << 16}
	closeAll := ns.Close
	for _, peer := range peers {
		far, err := netns.Open("/run/netns/" + peer[0])
		if err != nil {
			return nil, errors.Join(err, closeAll())
		}
		before := closeAll
		closeAll = func() error { return errors.Join(far.Close(), before()) }
		options.Peers = append(options.Peers, l4.Peer{NetNS: far, Interface: peer[1]})
	}
	p, err := l4.Open(options)
	if err != nil {
		return nil, errors.Join(err, closeAll())
	}
	shut = func() error { return errors.Join(p.Close(), os.RemoveAll(pins), closeAll()) }
	snapshot := lb.Snapshot{Revision: 1}
	for number, a := range arms() {
		if a.Hook == hook {
			snapshot.Services = append(snapshot.Services, a.service(number))
		}
	}
	if err := p.Apply(ctx, snapshot); err != nil {
		return nil, errors.Join(err, shut())
	}
	return shut, nil
}

func (a arm) service(number int) lb.Service {
	v := lb.Service{
		Name: fmt.Sprint("web", number), Plane: lb.L4, VIP: lb.VIP{Addr: target(vip(number)), Proto: lb.TCP},
		Forward: a.Forward, Policy: lb.RoundRobin,
	}
	for i := range servers {
		v.Backends = append(v.Backends, lb.Backend{
			ID: lb.BackendID(number*servers + i + 1), Name: fmt.Sprint("s", i), Addr: target(a.backend(i)), Weight: 1, Health: lb.Up,
		})
	}
	return v
}
