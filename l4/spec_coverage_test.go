package l4

import (
	"fmt"
	"testing"

	"lbctl/internal/lb"
)

// coverage is which verdicts were met by which way and kind.
type coverage map[string]bool

func cell(verdict string, by forwarding, k kind) string {
	return fmt.Sprintf("%s, %s, %s", verdict, by.name, k)
}

func (c coverage) add(verdict string, by forwarding, k kind) { c[cell(verdict, by, k)] = true }

// impossible are the verdicts that cannot be met there, and why.
var impossible = []struct {
	verdicts []string
	where    cells // nil: nowhere can they
	why      string
}{
	{[]string{"TRUNCATED_ETHERNET"}, nil, "the kernel runs the program on 14 bytes and more"},
	{[]string{"BROKEN"}, nil, "it would be a bug"},
	{[]string{"NO_TAILROOM"}, nil, "BPF_PROG_TEST_RUN leaves room behind all packets that it takes"},
	{[]string{"TRUNCATED_IP"}, atTCX, "the kernel runs the program on whole IP headers only"},
	{[]string{"TRUNCATED_TCP", "BAD_TCP_OFFSET", "BAD_TCP_FLAGS", "BAD_TCP_PORT"}, udp, "they are of TCP"},
	{[]string{"ADOPTED", "STRAY_RESET", "RESET_BACKEND", "RESET_CLIENT"}, udp, "a datagram does not show whether it is a flow's first, and UDP has no RST"},
	{[]string{"SYN_LIMITED"}, udp, "UDP has no SYN"},
	{[]string{"COOKIE_SENT", "COOKIE_VALID", "COOKIE_AGAIN", "COOKIE_WRONG", "NO_SYN_ACK"}, cells(cookied).not(), "cookies are TCP's, and for where replies pass the balancer"},
	{[]string{"TRUNCATED_UDP", "BAD_UDP_LENGTH", "BY_CONNECTION_ID"}, tcp, "they are of UDP"},
	{[]string{"ONE_PACKET"}, cells(anew).not(), "it is for UDP, and not where replies are translated"},
	{[]string{"TOO_BIG_NO_DF"}, six, "nothing may fragment IPv6 on its way"},
	{[]string{"REPLY", "STALE_REPLY", "NO_ROOM", "ERROR_TO_CLIENT"}, cells(natted).not(), "replies do not pass the balancer"},
	{[]string{"NAT_CLASH"}, cells(clashing).not(), "elsewhere a server tells connections apart as the client does"},
	{[]string{"NO_LOCAL_PORT"}, cells(local).not(), "only fullnat has local ports"},
	{[]string{"STRAY_RESET"}, local, "without a flow there is no local port to send it from: it is NO_LOCAL_PORT"},
	{[]string{"DEGRADED"}, natted, "without an entry no reply could be translated: it is NO_ROOM"},
}

func atTCX(forwarding, kind) bool { return hook == lb.HookTCX }

// check fails if a verdict has no line where it can be met, or has one where it
// was said that it cannot.
func (c coverage) check(t *testing.T) {
	t.Helper()
	names, err := words()
	ok(t, err)
	cannot := coverage{}
	for _, by := range forwardings() {
		for _, k := range kinds {
			for _, i := range impossible {
				for _, verdict := range i.verdicts {
					if i.where == nil || i.where(by, k) {
						cannot.add(verdict, by, k)
					}
				}
			}
			for _, v := range names {
				cell := cell(v.Name, by, k)
				if c[cell] == cannot[cell] {
					t.Errorf("%s: met by a line: %t, said to be impossible: %t", cell, c[cell], cannot[cell])
				}
			}
		}
	}
}
