package l7

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// ofNoModel are the tests that start proxies of their own, or are about what the
// exchange makes of bytes, whoever drives it.
const ofNoModel = "^Test(Plane|AKilledProxy|Forwarding|ACrashLoop|OpenSays|AStopped|AProxyThatIsQuit|AnotherShape|AMaster|AnUpgrade|ABinary|" +
	"RequestsAreLogged|ALog|CountsAre|Complaints|NoTrick|ATrick|AHostile|ABackendThatIgnores|ABodyThatComes|TheStrictness|TheKinds)"

// The tests of this package run under the model loop and the kind of event loop
// that this machine takes. Here they run once more under every other one.
func TestTheSameUnderEveryModel(t *testing.T) {
	if os.Getenv(modelVariable) != "" || os.Getenv(kindVariable) != "" {
		t.Skip("this is one of them")
	}
	if testing.Short() {
		t.Skip("-short")
	}
	for _, c := range []struct {
		model Model
		kind  string
	}{{Prefork, ""}, {Threads, ""}, {Event, ""}, {Loop, "epoll"}} {
		t.Run(fmt.Sprint(c.model, " ", c.kind), func(t *testing.T) {
			t.Parallel() // as many as there are CPUs: they wait much of the time
			cmd := exec.Command("/proc/self/exe", "-test.timeout=5m", "-test.skip="+ofNoModel)
			cmd.Env = append(os.Environ(), modelVariable+"="+string(c.model), kindVariable+"="+c.kind)
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
