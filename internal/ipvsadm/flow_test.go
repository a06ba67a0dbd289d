package ipvsadm

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// What IPVS prints of the same connections is in testdata/connections.txt; of a
// firewall mark's template, ip_vs_sched_persist() in ip_vs_core.c tells.
func TestFlowsAreListedAsConnections(t *testing.T) {
	addr := netip.MustParseAddrPort
	flow := lb.Flow{
		Proto: lb.TCP, Client: addr("198.51.100.1:40001"), VIP: addr("10.1.0.1:80"), Backend: addr("10.2.0.2:80"),
		State: "ESTABLISHED", Expires: 899*time.Second + 999*time.Millisecond,
	}
	sticky := lb.Flow{
		Proto: lb.TCP, Client: addr("198.51.100.0:0"), VIP: addr("10.1.0.2:80"), Backend: addr("10.2.0.4:80"),
		State: "NONE", Expires: 99 * time.Second, Sticky: true,
	}
	six := sticky
	six.Client, six.Backend = addr("[fd00:9::]:0"), addr("[fd00:2::1]:80")
	udp := lb.Flow{
		Proto: lb.UDP, Client: addr("[::ffff:198.51.100.3]:5353"), VIP: addr("10.1.0.1:53"), Backend: addr("10.2.0.3:53"),
		State: "UDP", Expires: 720 * time.Hour,
	}
	table := Table{Conns: func(yield func(Conn, error) bool) {
		_ = yield(FromFlow(flow, 0), nil) && yield(FromFlow(flow, 7), nil) && yield(FromFlow(sticky, 0), nil) &&
			yield(FromFlow(sticky, 3), nil) && yield(FromFlow(six, 3), nil) && yield(FromFlow(udp, 0), nil) && yield(Conn{}, errors.New("broken off"))
	}}
	var out strings.Builder
	err := table.List(&out, Command{Op: List, Options: options(OptConnections, OptNumeric)}, Names{})
	want := `IPVS connection entries
pro expire state       source             virtual            destination
TCP 14:59  ESTABLISHED 198.51.100.1:40001 10.1.0.1:80        10.2.0.2:80
TCP 14:59  ESTABLISHED 198.51.100.1:40001 10.1.0.1:80        10.2.0.2:80
TCP 01:39  NONE        198.51.100.0:0     10.1.0.2:80        10.2.0.4:80
IP  01:39  NONE        198.51.100.0:0     0.0.0.3:0          10.2.0.4:0
IP  01:39  NONE        [fd00:9::]:0       [0:3::]:0          [fd00:2::1]:0
UDP 43200:00 UDP         198.51.100.3:5353  10.1.0.1:53        10.2.0.3:53
`
	if out.String() != want || err == nil || err.Error() != "broken off" {
		t.Errorf("%v\ngot:\n%swant:\n%s", err, out.String(), want)
	}
}
