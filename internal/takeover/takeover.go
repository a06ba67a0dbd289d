// Package takeover moves addresses from one host to another on the same links,
// as keepalived does: they are put on, taken off and announced.
package takeover

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lbctl/internal/netns"
)

// Addr is an address that floats: it is on the link of that name of one host at a time.
type Addr struct {
	Link string     `json:"link"`
	Addr netip.Addr `json:"addr"`
}

func (a Addr) String() string { return a.Addr.String() + " on " + a.Link }

// Host is one of the hosts that addresses move between. Its methods may not be
// called at the same time.
type Host struct {
	ns *netns.Handle
	nl *netlink.Handle
}

// Open returns the host whose namespace that is. It must stay open as long as the Host.
func Open(ns *netns.Handle) (*Host, error) {
	nl, err := ns.Netlink()
	if err != nil {
		return nil, err
	}
	return &Host{ns, nl}, nil
}

// Close lets go of the host, which keeps the addresses it has.
func (h *Host) Close() { h.nl.Close() }

// Holds returns which of the addresses the host has.
func (h *Host) Holds(addrs []Addr) ([]Addr, error) {
	var held []Addr
	byLink := map[string][]netlink.Addr{}
	for _, a := range addrs {
		if _, listed := byLink[a.Link]; !listed {
			link, err := h.nl.LinkByName(a.Link)
			if err != nil {
				return nil, fmt.Errorf("find link %s: %w", a.Link, err)
			}
			if byLink[a.Link], err = h.list(link); err != nil {
				return nil, fmt.Errorf("list addresses of %s: %w", a.Link, err)
			}
		}
		if slices.ContainsFunc(byLink[a.Link], a.is) {
			held = append(held, a)
		}
	}
	return held, nil
}

// list asks again when an address came or went while the kernel answered.
func (h *Host) list(link netlink.Link) (addrs []netlink.Addr, err error) {
	for range 10 {
		if addrs, err = h.nl.AddrList(link, netlink.FAMILY_ALL); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return addrs, err
}

// is reports whether the host's address is a, as Take puts it on.
func (a Addr) is(has netlink.Addr) bool {
	addr, ok := netip.AddrFromSlice(has.IP)
	ones, bits := has.Mask.Size()
	return ok && addr.Unmap() == a.Addr && ones == bits
}

// Take puts the addresses on and returns those that the host did not have. They
// are used at once, but nobody is told: see Announce.
func (h *Host) Take(addrs []Addr) (added []Addr, err error) {
	held, err := h.Holds(addrs)
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		if slices.Contains(held, a) {
			continue
		}
		if err := h.change(a, h.nl.AddrReplace); err != nil {
			return added, fmt.Errorf("take %s: %w", a, err)
		}
		added = append(added, a)
	}
	return added, nil
}

// Drop takes the addresses off. One that the host does not have is no error.
func (h *Host) Drop(addrs []Addr) error {
	var errs []error
	for _, a := range addrs {
		err := h.change(a, h.nl.AddrDel)
		if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) && !errors.As(err, &netlink.LinkNotFoundError{}) {
			errs = append(errs, fmt.Errorf("drop %s: %w", a, err))
		}
	}
	return errors.Join(errs...)
}

func (h *Host) change(a Addr, do func(netlink.Link, *netlink.Addr) error) error {
	link, err := h.nl.LinkByName(a.Link)
	if err != nil {
		return err
	}
	bits := a.Addr.BitLen()
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: a.Addr.AsSlice(), Mask: net.CIDRMask(bits, bits)}}
	if a.Addr.Is6() {
		addr.Flags = unix.IFA_F_NODAD                       // the other host has dropped it: nobody need be asked
		addr.ValidLft, addr.PreferedLft = math.MaxUint32, 0 // no source for the host's own connections
	}
	return do(link, addr)
}
