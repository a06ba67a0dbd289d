package scenario

import (
	"net/netip"
	"slices"
	"time"
)

// Takeover says who decides that the standby takes over.
type Takeover string

// Who may.
const (
	TakeoverManual Takeover = "manual" // a person
	TakeoverAuto   Takeover = "auto"   // a person, and the standby itself once the active balancer is silent
)

// Sync says from when on the standby is told of a flow.
type Sync string

// From when on it is.
const (
	SyncOff         Sync = "off"
	SyncOpening     Sync = "opening"     // its first packet: IPVS with a sync_threshold of 0
	SyncEstablished Sync = "established" // more than a SYN was seen, as with IPVS's sync_threshold of 3
)

// Failover is how the standby of a lab with two balancers takes over.
type Failover struct {
	Takeover Takeover      `json:"takeover"`
	Advert   time.Duration `json:"advert"` // between two signs of life of the active balancer
	Sync     Sync          `json:"sync"`
	Batch    time.Duration `json:"batch"`   // longest that a flow waits for others to be sent with it
	Refresh  time.Duration `json:"refresh"` // between two tellings of a flow that goes on as it is
}

// failover resolves how the standby takes over. Without one it means nothing.
func (r *resolver) failover() Failover {
	if r.standby == nil {
		return Failover{}
	}
	typed := filled(r.spec.Failover)
	return Failover{
		Takeover: Takeover(typed.Takeover.Value),
		Advert:   time.Duration(typed.Advert.Value),
		Sync:     Sync(typed.Sync.Value),
		Batch:    time.Duration(typed.Batch.Value),
		Refresh:  time.Duration(typed.Refresh.Value),
	}
}

// Adverts tell their interval in hundredths of a second, in twelve bits (RFC 9568).
const (
	minAdvert = 10 * time.Millisecond
	maxAdvert = 40 * time.Second
)

// refuseFailover notes that there is nothing that could fail over.
func (r *resolver) refuseFailover() {
	if at := r.spec.Failover.Pos; at.IsSet() && r.standby == nil {
		r.fail(at, "", "failover needs two balancers, as with balancers: 2")
	}
	if advert := r.spec.Failover.Advert; advert.IsSet() && (time.Duration(advert.Value) < minAdvert || time.Duration(advert.Value) > maxAdvert) {
		r.fail(advert.Pos, "", "advert: want from %s to %s, as VRRP has room for, not %s", minAdvert, maxAdvert, time.Duration(advert.Value))
	}
}

// overActive is a node's next hop of what is routed over the balancer, as a server's
// replies under nat are and a client's packets to a prefix: the balancer, or an
// address that whichever of two is active holds.
func (r *resolver) overActive(n *node, net *network, six bool) netip.Addr {
	if r.standby == nil {
		return r.balancer.addr(net, six)
	}
	link := r.balancer.link(net).Name
	way := holder{who: "the active balancer for what is routed over it"}
	i := slices.IndexFunc(r.floating, func(f Floating) bool {
		return f.Link == link && f.Addr.Is6() == six && net.taken[f.Addr] == way
	})
	if i >= 0 {
		return r.floating[i].Addr
	}
	subnet := net.subnet(six)
	addr, ok := firstFree(net, subnet, RoleBalancer, map[string]int{})
	if !ok {
		r.fail(n.at, "", "network %s: %s has no balancer's address left that %s could route over the active one by", net.Name, subnet, n.Name)
		return addr
	}
	net.taken[addr] = way
	r.floating = append(r.floating, Floating{link, addr})
	return addr
}

// The words that stand under failover.
type (
	TakeoverWord = Enum[takeovers]
	SyncWord     = Enum[syncs]

	takeovers struct{}
	syncs     struct{}
)

func (takeovers) words() []string {
	return []string{string(TakeoverManual), string(TakeoverAuto)}
}

func (syncs) words() []string {
	return []string{string(SyncEstablished), string(SyncOpening), string(SyncOff)}
}
