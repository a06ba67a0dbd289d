package l4

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
	"lbctl/internal/netns"
)

// hop is where a packet to a backend leaves and whose MAC address it bears.
type hop struct {
	ifindex uint32
	mac     [6]byte
	mtu     int        // of the way there
	source  netip.Addr // that the balancer takes when it writes there itself
}

// neighbour is the key of a hop: the backend itself or the gateway to it.
type neighbour struct {
	ifindex int
	addr    netip.Addr
}

// way is what the routing table says of a destination.
type way struct {
	neighbour
	mtu    int
	source netip.Addr
}

// resolver finds next hops with the balancer's own routes and neighbours.
type resolver struct {
	ns    *netns.Handle
	links *netlink.Handle
}

// arpWait is how long Apply waits for answers to ARP or neighbour discovery. They take less than a
// millisecond on a lab's link, and Apply is retried.
const arpWait = 250 * time.Millisecond

func newResolver(ns *netns.Handle) (*resolver, error) {
	links, err := ns.Netlink()
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	return &resolver{ns, links}, nil
}

func (r *resolver) close() { r.links.Close() }

// route returns the way to addr, over one of the ports. Its MTU is the route's,
// which the kernel lowers as it learns, or else the port's.
func (r *resolver) route(addr netip.Addr, ports []port) (way, error) {
	routes, err := r.links.RouteGet(addr.AsSlice())
	if err != nil {
		return way{}, fmt.Errorf("find route to %s: %w", addr, err)
	}
	if len(routes) == 0 || routes[0].Type == unix.RTN_LOCAL {
		return way{}, fmt.Errorf("find route to %s: it is the balancer's own address", addr)
	}
	route := routes[0]
	i := slices.IndexFunc(ports, func(p port) bool { return p.index == route.LinkIndex })
	if i < 0 {
		return way{}, fmt.Errorf("find route to %s: it leaves by an interface that is not the plane's", addr)
	}
	w := way{neighbour: neighbour{route.LinkIndex, addr}, mtu: ports[i].mtu}
	if gateway, ok := netip.AddrFromSlice(route.Gw); ok {
		w.addr = gateway.Unmap()
	}
	if route.MTU > 0 {
		w.mtu = min(w.mtu, route.MTU)
	}
	if source, ok := netip.AddrFromSlice(route.Src); ok {
		w.source = source.Unmap()
	}
	return w, nil
}

// own returns the balancer's addresses.
func (r *resolver) own() ([]netip.Addr, error) {
	list, err := r.links.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var out []netip.Addr
	for _, a := range list {
		if addr, ok := netip.AddrFromSlice(a.IP); ok {
			out = append(out, addr.Unmap())
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out, nil
}

// usable are the states in which a neighbour's MAC address is believed; a stale
// one is, until something better is known.
const usable = netlink.NUD_REACHABLE | netlink.NUD_STALE | netlink.NUD_DELAY | netlink.NUD_PROBE | netlink.NUD_PERMANENT

// neighbours returns the neighbours whose MAC addresses are known.
func (r *resolver) neighbours() (map[neighbour][6]byte, error) {
	list, err := r.links.NeighList(0, unix.AF_INET)
	if err != nil {
		return nil, fmt.Errorf("list neighbours: %w", err)
	}
	list6, err := r.links.NeighList(0, unix.AF_INET6)
	if err != nil {
		return nil, fmt.Errorf("list IPv6 neighbours: %w", err)
	}
	list = append(list, list6...)
	known := map[neighbour][6]byte{}
	for _, n := range list {
		addr, ok := netip.AddrFromSlice(n.IP)
		if ok && n.State&usable != 0 && len(n.HardwareAddr) == 6 {
			key := neighbour{n.LinkIndex, addr.Unmap()}
			known[key] = [6]byte(n.HardwareAddr)
		}
	}
	return known, nil
}

// await returns the neighbours known once all of need are, or arpWait is over.
func (r *resolver) await(ctx context.Context, need []neighbour) (map[neighbour][6]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, arpWait)
	defer cancel()
	for first := true; ; first = false {
		known, err := r.neighbours()
		if err != nil {
			return nil, err
		}
		missing := unknown(need, known)
		if len(missing) == 0 || ctx.Err() != nil {
			return known, nil
		}
		if first {
			if err := r.provoke(missing); err != nil {
				return nil, err
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// provoke makes the kernel ask for MAC addresses: it sends an empty datagram to
// the discard port of each. Whether one can be sent is of no interest.
func (r *resolver) provoke(missing []neighbour) error {
	return r.ns.Do(func() error {
		sockets := map[bool]*net.UDPConn{} // by whether it is for IPv6
		for _, n := range missing {
			six, network := n.addr.Is6(), "udp4"
			if six {
				network = "udp6"
			}
			if sockets[six] == nil {
				socket, err := net.ListenUDP(network, nil)
				if err != nil {
					return fmt.Errorf("open socket to find neighbours: %w", err)
				}
				defer socket.Close()
				sockets[six] = socket
			}
			to := n.addr
			if to.IsLinkLocalUnicast() && six {
				to = to.WithZone(strconv.Itoa(n.ifindex))
			}
			_, _ = sockets[six].WriteToUDPAddrPort(nil, netip.AddrPortFrom(to, 9))
		}
		return nil
	})
}

func unknown(need []neighbour, known map[neighbour][6]byte) []neighbour {
	var missing []neighbour
	for _, n := range need {
		if _, ok := known[n]; !ok {
			missing = append(missing, n)
		}
	}
	return missing
}

// resolve fills in the hops of all backends that are to get packets. An error
// names each eligible backend whose next hop cannot be found; the others may
// wait, since nothing new goes to them.
func (p *Plane) resolve(ctx context.Context, want []*wanted) error {
	ports, err := p.ports()
	if err != nil {
		return err
	}
	var errs []error
	var need []neighbour
	type backend struct {
		*wanted
		lb.Backend
		via way
	}
	var forwarding []backend
	for _, w := range want {
		for _, b := range w.Backends {
			if !b.Forwards() {
				continue
			}
			via, err := p.hops.route(b.Addr.Addr().Unmap(), ports)
			if err == nil {
				if err = errors.Join(w.fits(b, via), p.localizes(w, b, via)); err != nil {
					delete(w.hops, b.ID)
				}
			}
			if err != nil {
				if b.Eligible() {
					errs = append(errs, fmt.Errorf("resolve backend %q of service %q: %w", b.Name, w.Name, err))
				}
				continue
			}
			forwarding = append(forwarding, backend{w, b, via})
			if _, has := w.hops[b.ID]; b.Eligible() && !has {
				need = append(need, via.neighbour)
			}
		}
	}
	known, err := p.hops.await(ctx, need)
	if err != nil {
		return err
	}
	for _, b := range forwarding {
		if mac, ok := known[b.via.neighbour]; ok {
			b.hops[b.ID] = hop{uint32(b.via.ifindex), mac, b.via.mtu, b.via.source}
		}
		if _, has := b.hops[b.ID]; b.Eligible() && !has {
			errs = append(errs, fmt.Errorf("resolve backend %q of service %q: nobody answers for %s on its link",
				b.Backend.Name, b.wanted.Name, b.via.addr))
		}
	}
	return errors.Join(errs...)
}
