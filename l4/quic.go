package l4

import (
	"errors"
	"fmt"
	"slices"

	"lbctl/internal/lb"
)

// serverID is what the connection IDs of a backend name it by (bpf/quic.h).
func serverID(b lb.Backend) uint16 {
	if b.ServerID != 0 {
		return b.ServerID
	}
	return uint16(b.ID)
}

// validateQUIC looks at what is configured; IDs that come from the Controller's
// are seen by validateServerIDs.
func validateQUIC(v lb.Service) error {
	if v.L4.QUIC && !slices.ContainsFunc(v.Matches(), func(m lb.Match) bool { return m.Proto == lb.UDP }) {
		return errors.New("quic is for udp, and the service has none")
	}
	named := slices.DeleteFunc(slices.Clone(v.Backends), func(b lb.Backend) bool { return b.ServerID == 0 })
	return validateServerIDs(named)
}

func validateServerIDs(backends []lb.Backend) error {
	seen := map[uint16]string{}
	for _, b := range backends {
		id := serverID(b)
		if other, taken := seen[id]; taken {
			return fmt.Errorf("backends %q and %q have the same server ID %d: want one for each", other, b.Name, id)
		}
		seen[id] = b.Name
	}
	return nil
}

// serverKeys are the server IDs of all services that go by connection IDs.
func (p *Plane) serverKeys(want []*wanted, services []*service) map[xdpServerKey]xdpServer {
	out := map[xdpServerKey]xdpServer{}
	for i, w := range want {
		if !w.L4.QUIC {
			continue
		}
		for _, b := range w.Backends {
			m := services[i].find(b.ID)
			out[xdpServerKey{Service: services[i].value.Index, Id: serverID(b)}] = xdpServer{Slot: m.slot, Backend: uint32(b.ID)}
		}
	}
	return out
}

// writeServers comes after backends have their slots.
func (p *Plane) writeServers(servers map[xdpServerKey]xdpServer) error {
	for key, server := range servers {
		if was, ok := p.state.servers[key]; ok && was == server {
			continue
		}
		if err := p.objects.Servers.Put(key, server); err != nil {
			return fmt.Errorf("write server ID %d: %w", key.Id, err)
		}
		p.state.servers[key] = server
	}
	return nil
}

// dropServers comes before slots are given away.
func (p *Plane) dropServers(servers map[xdpServerKey]xdpServer) error {
	for key := range p.state.servers {
		if _, stays := servers[key]; stays {
			continue
		}
		if err := drop(p.objects.Servers, p.state.servers, key); err != nil {
			return fmt.Errorf("delete server ID %d: %w", key.Id, err)
		}
	}
	return nil
}

func (s *state) readServers(maps *xdpMaps) error {
	s.servers = map[xdpServerKey]xdpServer{}
	var key xdpServerKey
	var server xdpServer
	entries := maps.Servers.Iterate()
	for entries.Next(&key, &server) {
		s.servers[key] = server
	}
	if err := entries.Err(); err != nil {
		return fmt.Errorf("read server IDs: %w", err)
	}
	return nil
}
