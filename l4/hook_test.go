package l4

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/cilium/ebpf"

	"lbctl/internal/lb"
)

// hook is the one under test. Every test of this package runs at each, those of
// packets and those of real traffic, and must say the same.
var hook = lb.Hook(cmp.Or(os.Getenv(testHook), string(lb.HookNative)))

// testHook names it in the environment.
const testHook = "LBCTL_L4_TEST_HOOK"

// whatHooksChange are the tests of packets and of real traffic. The program of the
// generic hook is native's, so that there only links and wires differ. What remains, policies and
// what Apply does to maps, knows no hook.
var whatHooksChange = map[lb.Hook]string{
	lb.HookGeneric: "Traffic|Reset|Reopened|Closed",
	lb.HookTCX: "Specification|Hostile|Traffic|Reset|Reopened|Closed|Packets|Frames|Checksum|VLAN|NAT|TOA|Cookie|Joined|SYN|" +
		"Unwrap|Decap|Wrap|Tunnel|Error|Answer|Fit|MTU|FlowState|Standby|ConnectionID|OneClientsEach",
}

// Those again at each other hook, in a process of its own.
func TestTheSameAtTheOtherHooks(t *testing.T) {
	if os.Getenv(testHook) != "" {
		return // this is that process
	}
	for _, other := range []lb.Hook{lb.HookGeneric, lb.HookTCX} {
		t.Run(string(other), func(t *testing.T) {
			args := []string{"-test.run=" + whatHooksChange[other], "-test.parallel=4", fmt.Sprint("-test.v=", testing.Verbose())}
			cmd := exec.CommandContext(t.Context(), "/proc/self/exe", args...)
			cmd.Env = append(os.Environ(), testHook+"="+string(other))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			} else {
				t.Logf("%s", out)
			}
		})
	}
}

// What a tcx program can say (linux/bpf.h), as it comes back.
const (
	tcxNext     = 1<<32 - 1
	tcxDrop     = 2
	tcxRedirect = 7
)

// checksumComplete makes the kernel hand over the packet's sum beside it, as
// some interfaces do, and look whether it is right afterwards
// (BPF_F_TEST_SKB_CHECKSUM_COMPLETE).
const checksumComplete = 1 << 2

// cannotRun reports whether BPF_PROG_TEST_RUN refuses the packet at this hook: as
// a buffer of the stack it must hold the IP header that its Ethernet header promises.
func cannotRun(packet []byte) bool {
	const header4, header6 = 14 + 20, 14 + 40
	if hook != lb.HookTCX || len(packet) < 14 {
		return false
	}
	switch binary.BigEndian.Uint16(packet[12:]) {
	case 0x0800:
		return len(packet) < header4
	case 0x86dd:
		return len(packet) < header6
	}
	return false
}

func (r *rig) runSKB(packet, skb []byte, flags uint32) (result, error) {
	options := &ebpf.RunOptions{
		Data: packet, DataOut: make([]byte, len(packet)+64), Context: skb, Flags: flags,
	}
	action, err := r.objects.BalanceTcx.Run(options)
	if err != nil {
		return result{}, fmt.Errorf("run at tcx: %w", err)
	}
	res := result{out: options.DataOut}
	switch action {
	case tcxNext:
		res.action = xdpPass
	case tcxDrop:
		res.action = xdpDrop
	case tcxRedirect: // where to is not told, but by whose MAC address
		res.action = xdpRedirect
		if bytes.Equal(res.out[6:12], packet[:6]) {
			res.action = xdpTx
		}
	default:
		return res, fmt.Errorf("run at tcx: action %d", action)
	}
	return res, nil
}

// skb is a struct __sk_buff of a packet that came in by eth0.
func (r *rig) skb() []byte {
	c := make([]byte, 192)
	binary.NativeEndian.PutUint32(c[40:], uint32(r.ifindex))
	return c
}
