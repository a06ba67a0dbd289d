package l7

import (
	"net/netip"

	"lbctl/internal/lb"
	"lbctl/internal/proxy"
)

// configuration is what a worker process serves by: a snapshot, and where in the
// scoreboard what is counted of it goes.
type configuration struct {
	Generation uint64         `json:"generation"` // counts configurations; what the scoreboard's ledger calls so
	Snapshot   lb.Snapshot    `json:"snapshot"`
	Cells      map[string]int `json:"cells"` // by key of account
	LogFolder  string         `json:"log_folder"`
}

// The messages between the master and its workers, beside those of supervise.
const (
	kindHello     = "hello"     // from a worker: it is there and wants a configuration
	kindSockets   = "sockets"   // []netip.AddrPort, with their listening sockets: those that a configuration will need
	kindConfigure = "configure" // configuration -> nothing once it is in force
	kindReopen    = "reopen"    // nothing, with the error log's file if there is one -> nothing once the logs are made anew
)

// maxSockets is how many go into one message; the kernel takes 253.
const maxSockets = 200

// addresses are those that the L7 services of a snapshot listen at. One that only
// routes lead to has none.
func addresses(s lb.Snapshot) (addrs []netip.AddrPort) {
	for _, v := range s.Services {
		if v.Plane == lb.L7 && v.VIP.Addr.IsValid() {
			addrs = append(addrs, v.VIP.Addr)
		}
	}
	return addrs
}

// keys are those of the accounts that a snapshot needs.
func keys(s lb.Snapshot) (keys []string) {
	for _, v := range s.Services {
		if v.Plane != lb.L7 {
			continue
		}
		keys = append(keys, proxy.ServiceKey(v.Name))
		for _, b := range v.Backends {
			keys = append(keys, proxy.BackendKey(v.Name, b.ID))
		}
	}
	return keys
}
