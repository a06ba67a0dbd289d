package l4

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"lbctl/internal/lb"
)

var update = flag.Bool("update", false, "write docs/l4-packets.md anew")

// describe is a frame in a short notation, the same for both families.
func describe(frame []byte) string {
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	text := ""
	if eth, is := p.LinkLayer().(*layers.Ethernet); is && !bytes.Equal(eth.DstMAC, portMAC) {
		text = "@" + nameOfMAC(eth.DstMAC) + " "
	}
	if p.NetworkLayer() == nil {
		return text + fmt.Sprintf("%d bytes", len(frame))
	}
	return text + describeIP(frame[14:])
}

// describeIP is the notation of an IP packet.
func describeIP(packet []byte) string {
	p := gopacket.NewPacket(packet, ipLayer(packet), gopacket.DecodeOptions{NoCopy: true})
	network := p.NetworkLayer()
	var src, dst net.IP
	var next layers.IPProtocol
	var hops uint8
	var payload []byte
	switch l := network.(type) {
	case *layers.IPv4:
		src, dst, next, hops, payload = l.SrcIP, l.DstIP, l.Protocol, l.TTL, l.Payload
	case *layers.IPv6:
		src, dst, next, hops, payload = l.SrcIP, l.DstIP, l.NextHeader, l.HopLimit, l.Payload
	}
	from, to := nameOf(addrOf(src)), nameOf(addrOf(dst))
	tail := ""
	if hops < 62 || hops > 64 {
		tail = fmt.Sprintf(", %d hops left", hops)
	}
	switch next {
	case layers.IPProtocolIPv4, layers.IPProtocolIPv6:
		return fmt.Sprintf("%s > %s [%s]", from, to, describeIP(payload))
	case layers.IPProtocolICMPv4, layers.IPProtocolICMPv6:
		return fmt.Sprintf("%s > %s %s%s", from, to, describeICMP(next, payload), tail)
	case layers.IPProtocolTCP:
		tcp := new(layers.TCP)
		if tcp.DecodeFromBytes(payload, gopacket.NilDecodeFeedback) != nil {
			// An error quotes as little as the ports and the sequence number.
			return fmt.Sprintf("%s:%d > %s:%d%s", from, binary.BigEndian.Uint16(payload), to, binary.BigEndian.Uint16(payload[2:]), tail)
		}
		return fmt.Sprintf("%s:%d > %s:%d%s%s%s", from, tcp.SrcPort, to, tcp.DstPort, marked(flagsOf(tcp)), sizeOf(packet), tail)
	case layers.IPProtocolUDP:
		udp := new(layers.UDP)
		if udp.DecodeFromBytes(payload, gopacket.NilDecodeFeedback) != nil {
			return fmt.Sprintf("%s > %s UDP%s", from, to, tail)
		}
		if udp.DstPort == testGUEPort {
			return fmt.Sprintf("%s > %s:%d [%s]", from, to, udp.DstPort, describeIP(udp.Payload))
		}
		return fmt.Sprintf("%s:%d > %s:%d%s%s%s", from, udp.SrcPort, to, udp.DstPort, marked("UDP"), sizeOf(packet), tail)
	}
	return fmt.Sprintf("%s > %s %s%s", from, to, next, tail)
}

// describeICMP tells type, code and what is quoted.
func describeICMP(next layers.IPProtocol, payload []byte) string {
	name := fmt.Sprint(layers.CreateICMPv4TypeCode(payload[0], payload[1]))
	if next == layers.IPProtocolICMPv6 {
		name = fmt.Sprint(layers.CreateICMPv6TypeCode(payload[0], payload[1]))
	}
	tooBig := next == layers.IPProtocolICMPv6 && payload[0] == layers.ICMPv6TypePacketTooBig ||
		next == layers.IPProtocolICMPv4 && payload[0] == layers.ICMPv4TypeDestinationUnreachable && payload[1] == layers.ICMPv4CodeFragmentationNeeded
	if tooBig {
		name = fmt.Sprintf("too big for %d", binary.BigEndian.Uint16(payload[6:]))
	}
	if quote := payload[8:]; len(quote) >= 28 && (quote[0]>>4 == 4 || len(quote) >= 48 && quote[0]>>4 == 6) {
		return fmt.Sprintf("%s [%s]", name, describeIP(quote))
	}
	return name
}

func flagsOf(tcp *layers.TCP) string {
	var flags []string
	for _, f := range []struct {
		name string
		set  bool
	}{{"SYN", tcp.SYN}, {"FIN", tcp.FIN}, {"RST", tcp.RST}, {"PSH", tcp.PSH}, {"ACK", tcp.ACK}, {"URG", tcp.URG}} {
		if f.set {
			flags = append(flags, f.name)
		}
	}
	return strings.Join(flags, "+")
}

// sizeOf is what the IP header says, where it may matter: of long packets.
func sizeOf(packet []byte) string {
	n := int(binary.BigEndian.Uint16(packet[2:]))
	if packet[0]>>4 == 6 {
		n = 40 + int(binary.BigEndian.Uint16(packet[4:]))
	}
	if n < 1000 {
		return ""
	}
	return fmt.Sprintf(" of %d bytes", n)
}

// What only TCP or only UDP says is marked, for rows are one that differ in it alone.
const (
	markBegin = "\x01"
	markEnd   = "\x02"
)

func marked(text string) string { return markBegin + " " + text + markEnd }

var (
	markedText = regexp.MustCompile(markBegin + "[^" + markEnd + "]*" + markEnd)
	marks      = strings.NewReplacer(markBegin, "", markEnd, "")
)

// nameOf is whose address it is, in either family.
func nameOf(addr netip.Addr) string {
	names := map[netip.Addr]string{
		client: "client", vip.Addr(): "vip", balancer: "balancer", far.source: "balancer", farAddr: "s1",
		router: "router", netip.MustParseAddr("198.18.1.254"): "router",
	}
	for i := 1; i <= 3; i++ {
		names[backendAddr(i)] = fmt.Sprintf("s%d", i)
	}
	for a, name := range names {
		if addr == a || addr == (kind{six: true}).of(a) {
			return name
		}
	}
	if addr.Is6() {
		return "[" + addr.String() + "]"
	}
	return addr.String()
}

func addrOf(ip net.IP) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip)
	return addr
}

func nameOfMAC(mac net.HardwareAddr) string {
	for name, a := range map[string]net.HardwareAddr{
		"client": clientMAC, "s1": backendMAC(1), "s2": backendMAC(2), "s9": backendMAC(9), "eth1": otherMAC,
		"all": layers.EthernetBroadcast, "s1 by eth1": backendMAC(101),
	} {
		if bytes.Equal(mac, a) {
			return name
		}
	}
	return mac.String()
}

// table is the specification as text.
type table struct {
	strings.Builder
	lines int
	rows  []tableRow // of the situation that is being added
}

// tableRow is what is the same for some ways and kinds.
type tableRow struct {
	text  string
	ways  []string
	kinds []string
}

func newTable() *table {
	t := &table{}
	t.WriteString(tableHead)
	return t
}

const tableHead = `# What becomes of a packet in the L4 plane

Made from the tables in l4/spec_*_test.go by ` + "`go test ./l4 -run TestSpecification -update`" + `, and true: the test tries each line for each way of forwarding, family
and protocol, at XDP and at tcx, and compares verdict, action and every byte that comes out with what another library (gopacket) builds, checksums included.

The client talks to the service at vip:80, whose backends are s1 and s2, taken in turns (rr), unless the line says otherwise. Backends under nat and fullnat listen on port 8080,
and ` + "`local:port`" + ` is what a flow is known by to its backend under fullnat: a local address and port of the balancer's.
` + "`client:40000 > vip:80 SYN`" + ` is a packet in a frame to the balancer; for UDP, think of a datagram where flags of TCP stand. ` + "`@s1 …`" + ` is one in a frame to s1,
` + "`[…]`" + ` what is inside of a tunnel or quoted by an error, and ` + "`\\*`" + ` stands behind what is damaged, or odd, in the way that the line names. ` + "`to s1: …`" + ` is the packet as its way of
forwarding delivers it, which the first table shows. What is forwarded has one hop less left. A line without *by* and *kind* holds for every way (dr, nat, fullnat, and tun as IPIP and
GUE in either family), for TCP and UDP, over IPv4 and IPv6. What a verdict means is in bpf/verdicts.h: one sentence each.
`

func (t *table) begin(title string) {
	fmt.Fprintf(t, "\n## %s\n\n| packet | before | in | verdict | out | by | kind |\n|---|---|---|---|---|---|---|\n", title)
}

// tell is a row of the table, without the ways and kinds.
func (x *scene) tell(line *situation) string {
	var before []string
	for _, e := range line.before {
		before = append(before, e.text(x))
	}
	out := "as it came"
	if x.actionOf(line.verdict) == xdpDrop {
		out = ""
	} else if line.out != nil {
		out = line.out.text(x)
	}
	text := strings.Join([]string{line.name, strings.Join(before, "; "), line.in.text(x), line.verdict, out}, " | ")
	if x.by.name == "fullnat" {
		return x.unnumbered(text)
	}
	return text
}

func (t *table) add(text string, by forwarding, k kind) {
	same := func(r tableRow) bool {
		return markedText.ReplaceAllString(r.text, "") == markedText.ReplaceAllString(text, "")
	}
	i := slices.IndexFunc(t.rows, same)
	if i < 0 {
		i = len(t.rows)
		t.rows = append(t.rows, tableRow{text: text})
	}
	r := &t.rows[i]
	r.ways, r.kinds = append(r.ways, by.name), append(r.kinds, k.String())
}

// end writes the situation that was added last.
func (t *table) end() {
	for _, r := range t.rows {
		t.lines++
		fmt.Fprintf(t, "| %s | %s | %s |\n", marks.Replace(r.text), summary(r.ways, allWays()), summary(r.kinds, allKinds()))
	}
	t.rows = nil
}

// summary names those of all, or the group that they are.
func summary(some []string, all map[string][]string) string {
	is := func(members []string) []string {
		return slices.DeleteFunc(slices.Clone(members), func(m string) bool { return !slices.Contains(some, m) })
	}
	some = is(all[""]) // each once and in order
	for name, members := range all {
		if slices.Equal(some, members) {
			return name
		}
	}
	return strings.Join(some, ", ")
}

func allWays() map[string][]string {
	out := map[string][]string{}
	for _, f := range forwardings() {
		out[""] = append(out[""], f.name)
		if strings.Contains(f.name, " in ") {
			out["tun"] = append(out["tun"], f.name)
		}
		if f.replies {
			out["nat, fullnat"] = append(out["nat, fullnat"], f.name)
		} else {
			out["dr, tun"] = append(out["dr, tun"], f.name)
		}
	}
	return out
}

func allKinds() map[string][]string {
	out := map[string][]string{}
	for _, k := range kinds {
		family := "IPv4"
		if k.six {
			family = "IPv6"
		}
		proto := map[lb.Protocol]string{lb.TCP: "TCP", lb.UDP: "UDP"}[k.proto]
		for _, name := range []string{"", family, proto} {
			out[name] = append(out[name], k.String())
		}
	}
	return out
}

// check compares the text with the file's.
func (t *table) check(tb testing.TB, path string) {
	tb.Helper()
	if *update {
		ok(tb, os.WriteFile(path, []byte(t.String()), 0o644))
	}
	was, err := os.ReadFile(path)
	ok(tb, err)
	if string(was) != t.String() {
		tb.Errorf("%s is not what the tests say: run go test ./l4 -run TestSpecification -update", path)
	}
}
