package lvsguest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The kernel chose, connection by connection, what the models choose, and its
// counters and lists stand as theirs do.
func TestKernelChoosesWhatTheModelsChoose(t *testing.T) {
	said := guest(t)
	list := contests()
	write(t, list)
	if _, ok := said[fmt.Sprintf("phase%d", phases-1)]; !ok {
		t.Fatalf("the program did not come to its end:\n%s", said[""])
	}
	chosen, tables := map[string]string{}, map[string]map[string][]string{}
	for phase := range phases {
		name := fmt.Sprintf("phase%d", phase)
		tables[name] = parseTables(said[name], chosen)
	}
	for _, c := range list {
		t.Run(c.name, func(t *testing.T) {
			for i, want := range c.choices {
				if got := chosen[want.packet]; got != want.backend {
					t.Fatalf("choice %d of %d, %s: the kernel chose %q, the model %q; backends before:\n%s",
						i, len(c.choices), want.packet, got, want.backend, strings.Join(want.before, "\n"))
				}
			}
			for phase := range phases {
				name := fmt.Sprintf("phase%d", phase)
				if diff := cmp.Diff(c.tables[name], tables[name][c.key()]); diff != "" {
					t.Errorf("backends after %s: -model +kernel\n%s", name, diff)
				}
			}
		})
	}
}

// parseTables adds "SRC DST" -> backend to chosen and returns the backends of
// each service.
func parseTables(section string, chosen map[string]string) map[string][]string {
	services := map[string][]string{}
	service := ""
	for line := range strings.Lines(section) {
		f := strings.Fields(line)
		switch {
		case len(f) == 4 && f[0] == "conn":
			chosen[f[1]+" "+f[2]] = f[3]
		case len(f) >= 3 && (f[0] == "TCP" || f[0] == "UDP" || f[0] == "FWM"):
			service = f[0] + " " + f[1]
		case len(f) == 6 && f[0] == "->":
			services[service] = append(services[service], fmt.Sprintf("%s weight %s active %s inactive %s", f[1], f[3], f[4], f[5]))
		}
	}
	return services
}
