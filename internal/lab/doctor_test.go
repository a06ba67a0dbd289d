package lab

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestDoctorFindsThisMachineFitAndLeavesNothing(t *testing.T) {
	o := options(t)
	before := machine(t, o)
	for range 3 {
		for _, f := range Doctor(o) {
			// Warnings depend on the machine (memory, file limits); what makes
			// a lab impossible would fail every other test here as well.
			if f.Severity == SeverityError || f.Detail == "" || f.OK != (f.Remedy == "") {
				t.Errorf("%+v", f)
			}
		}
	}
	wantNothingLeft(t, o, before)
}

func TestDoctorNamesLeftovers(t *testing.T) {
	o := options(t)
	if err := os.MkdirAll(o.folder("dead").path("netns"), 0o700); err != nil {
		t.Fatal(err)
	}
	findings := Doctor(o)
	i := slices.IndexFunc(findings, func(f Finding) bool { return f.Check == "leftovers" })
	if f := findings[i]; f.OK || f.Severity != SeverityWarning || !strings.Contains(f.Detail, "lab dead is half-way") || f.Remedy == "" {
		t.Errorf("%+v", f)
	}
}

func TestSysctlsWorkThroughAPrivateProcfs(t *testing.T) {
	o := options(t)
	lab, _ := mustUp(t, o, direct("procfs", 1))
	sys, err := privateProcSys()
	if err != nil {
		t.Fatal(err)
	}
	defer sys.close()
	s1, err := lab.Node("s1")
	if err != nil {
		t.Fatal(err)
	}
	defer s1.Close()
	const key = "net.ipv4.conf.all.arp_ignore"
	err = s1.Do(func() error {
		if value, ok := sys.read(key); !ok || value != "1" {
			t.Errorf("%s = %q, %t; want the node's own 1", key, value, ok)
		}
		return sys.write(key, "2")
	})
	if err != nil {
		t.Fatal(err)
	}
	_, changes := mustUp(t, o, direct("procfs", 1))
	wantChanges(t, changes, "change sysctl s1 "+key+" = 1")
}
