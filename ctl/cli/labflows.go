package cli

import (
	"errors"
	"io"
	"time"

	"lbctl/ctl"
	"lbctl/internal/ipvsadm"
	"lbctl/internal/lb"
)

// errEnough ends a listing that nobody reads on.
var errEnough = errors.New("enough")

// listConns lists what the plane remembers, as it comes: with -c.
func (k *labKernel) listConns(w io.Writer, c ipvsadm.Command) error {
	ctx, client := k.context.Context, k.session.client
	config, _, err := client.Config(ctx)
	if err != nil {
		return err
	}
	marks := map[string]uint32{}
	for _, v := range config.Services {
		marks[v.Name] = v.L4.Mark
	}
	table := ipvsadm.Table{Conns: func(yield func(ipvsadm.Conn, error) bool) {
		_, err := client.Flows(ctx, ctl.FlowQuery{}, func(f lb.Flow) error {
			if !yield(ipvsadm.FromFlow(f, marks[f.Service]), nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(ipvsadm.Conn{}, err)
		}
	}}
	return table.List(w, c, k.names)
}

func (k *labKernel) listTimeouts(w io.Writer, c ipvsadm.Command) error {
	t, err := k.session.client.Timeouts(k.context.Context)
	if err != nil {
		return err
	}
	seconds := func(d time.Duration) uint32 { return uint32(d / time.Second) }
	table := ipvsadm.Table{Timeouts: ipvsadm.Timeouts{TCP: seconds(t.TCP), TCPFin: seconds(t.FIN), UDP: seconds(t.UDP)}}
	return table.List(w, c, k.names)
}

// setTimeouts changes them after what was said before has happened. It returns
// once the plane has them, as IPVS does.
func (k *labKernel) setTimeouts(t ipvsadm.Timeouts) error {
	if err := k.Commit(); err != nil {
		return err
	}
	l, err := k.lab()
	if err != nil {
		return err
	}
	ctx := k.context.Context
	duration := func(seconds uint32) time.Duration { return time.Duration(seconds) * time.Second }
	revision, err := l.client.SetTimeouts(ctx, lb.Timeouts{TCP: duration(t.TCP), FIN: duration(t.TCPFin), UDP: duration(t.UDP)})
	if ctl.StatusCode(err) == 422 {
		return ipvsadm.Refused("Invalid argument: %s", err)
	}
	if err != nil {
		return err
	}
	_, err = k.await(ctx, revision)
	return err
}
