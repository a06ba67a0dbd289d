package scenario

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/internal/lb"
)

func TestOptionsOfL4(t *testing.T) {
	s := resolve(t, `
name: x
services:
  plain: {plane: l4, policy: rr, lost: move}
  short: {plane: l4, policy: rr, persist: 60s}
  long: {plane: l4, policy: rr, persist: {timeout: 5m, bits4: 24, bits6: 64, quiesce: true}, lost: reset}
  dns: {plane: l4, policy: rr, proto: udp, one_packet: true, lost: expire}
`)
	want := map[string]lb.L4Options{
		"plain": {},
		"short": {Persist: lb.Persistence{Timeout: time.Minute, Bits4: 32, Bits6: 128}},
		"long": {
			Persist: lb.Persistence{Timeout: 5 * time.Minute, Bits4: 24, Bits6: 64, Quiesce: true},
			Lost:    lb.LostResets,
		},
		"dns": {OnePacket: true, Lost: lb.LostExpires},
	}
	for _, v := range s.Config.Services {
		if diff := cmp.Diff(want[v.Name], v.L4); diff != "" {
			t.Errorf("%s (-want +got):\n%s", v.Name, diff)
		}
	}
}
