package e2e

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

const manyAddresses = `name: many
ipv6: true
servers: 4
networks:
  front: {}
  back: {}
nodes:
  r1: {role: router}
services:
  cache: {plane: l4, policy: rr, prefix: 198.18.100.0/24, port: any, backends: [s1, s2]}
  cache6: {plane: l4, policy: rr, ipv6: true, prefix: "2001:2:0:64::/64", also: [{proto: udp}], backends: [s1, s2]}
  group: {plane: l4, policy: rr, also: [{port: 443}, {port: 8000-8003}, {proto: udp}], backends: [s3]}
  nat: {plane: l4, policy: rr, forward: nat, prefix: 198.18.101.0/24, port: 8000-8003, also: [{proto: udp}], backends: [s4]}
  quic: {plane: l4, policy: rr, vip: 198.18.19.201, port: 4433, proto: udp, quic: true, backends: [{node: s1, server_id: 7}, {node: s2, server_id: 8}]}
  proxy: {plane: l7, vip: 198.18.19.200, port: 8080, backends: [s4]}
  host: {plane: l4, policy: rr, vip: 198.18.19.200, port: any, backends: [s3]}
`

// Any port, ranges, prefixes and groups, over TCP and UDP and in both families,
// answer from the very address and port that the client asked, through a router.
func TestPrefixesRangesAndGroupsAnswer(t *testing.T) {
	w := newWorkshop(t)
	w.lbctl("up", w.scenario("many.yaml", manyAddresses))
	l := w.open("many")
	group := l.service(t, "group").Target().Addr().String()
	for to, servers := range map[string]string{
		"198.18.100.1:80": "s1 s2", "198.18.100.254:80": "s1 s2", "[2001:2:0:64::7]:80": "s1 s2", "[2001:2:0:64:a:b:c:d]:80": "s1 s2",
		group + ":80": "s3", group + ":443": "s3", group + ":8003": "s3",
		"198.18.101.9:8000": "s4", "198.18.101.200:8003": "s4",
		"198.18.19.200:80": "s3", "198.18.19.200:443": "s3", "198.18.19.200:8080": "s4",
	} {
		seen := map[string]bool{}
		for range 4 {
			seen[l.dialTo(t, to, netip.MustParseAddrPort(to)).ask(t, to)] = true
		}
		for _, s := range strings.Fields(servers) {
			if !seen[s] || len(seen) != len(strings.Fields(servers)) {
				t.Errorf("%s was answered by %v, want %s", to, seen, servers)
			}
		}
	}
	for range 6 { // each from another port, as after a change of the client's address
		l.echo(t, "198.18.19.201:4433", "\x40\x08\x00\x08nonce! and more")
	}
	for _, b := range l.service(t, "quic").Backends {
		if here := b.Counters.PacketsIn > 0; here != (b.ServerID == 8) {
			t.Errorf("%d packets with the connection ID of server 8 went to %s", b.Counters.PacketsIn, b.Name)
		}
	}
	for _, to := range []string{"[2001:2:0:64::9]:80", group + ":80", "198.18.101.77:8002"} {
		l.echo(t, to, "hello")
	}
	if out := w.lbctl("status"); !strings.Contains(out, "198.18.100.0/24:any/tcp") || !strings.Contains(out, group+":80/tcp +3") {
		t.Errorf("status does not say what clients may address:\n%s", out)
	}
}

// echo sends datagrams from a connected socket, which takes answers from where it sent them only.
func (l *openLab) echo(t *testing.T, to, text string) {
	t.Helper()
	node, err := l.Node("c1")
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	conn, err := node.DialContext(t.Context(), "udp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	buffer := make([]byte, 64)
	for range 10 { // a datagram may be lost while neighbours are found
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatalf("send to %s: %v", to, err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		if n, err := conn.Read(buffer); err == nil && string(buffer[:n]) == text {
			return
		}
	}
	t.Errorf("datagrams to %s were not answered", to)
}
