package ipvsadm

import (
	"strings"
	"testing"

	"lbctl/internal/lb"
)

// What -S prints of full NAT, as the FULLNAT patches do, makes the same again by -R.
func TestFullNATIsListedSavedAndRestored(t *testing.T) {
	v := service("web", "10.0.0.1:80", lb.RoundRobin, "", backend("s1", "10.0.0.11:8080", 1))
	v.Forward = lb.FullNAT
	table := newTable()
	table.Services = FromServices([]lb.Service{v})
	show := func(c Command) string {
		var b strings.Builder
		if err := table.List(&b, c, testNames); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if got := show(Command{Op: List, Options: 1 << OptNumeric}); !strings.Contains(got, "  -> 10.0.0.11:8080               FullNat 1      0          0         \n") {
		t.Errorf("listed:\n%s", got)
	}
	saved := show(Command{Op: Save, Options: 1 << OptNumeric})
	if want := "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.0.11:8080 -b -w 1\n"; saved != want {
		t.Errorf("saved:\n%swant\n%s", saved, want)
	}
	table = newTable()
	if code, errs := play(table, saved); code != 0 {
		t.Fatalf("restore: %d, %s", code, errs)
	}
	if got := Services(table.Services, nil, nil)[0].Forward; got != lb.FullNAT {
		t.Errorf("restored as %s", got)
	}
}

// Before a service's -b, which names flags of its scheduler, and two ways at a time.
func TestFullNATAmongOtherOptions(t *testing.T) {
	for line, want := range map[string]string{
		"-a -t 10.0.0.1:80 -r 10.0.0.11 -b":         "",
		"-e -t 10.0.0.1:80 -r 10.0.0.11:81 -b -w 3": "",
		"-a -b -t 10.0.0.1:80 -r 10.0.0.11":         "",
		"-a -t 10.0.0.1:80 -r 10.0.0.11 -b -m":      "multiple 'forwarding-method' options specified",
		"-a -t 10.0.0.1:80 -r 10.0.0.11 -b sh-port": "incompatible scheduler flag",
		"-A -t 10.0.0.1:80 -s sh -b":                "-b: missing argument",
	} {
		c, err := Parse("ipvsadm", strings.Fields(line), testNames)
		switch {
		case want == "" && (err != nil || c.Dest.Forward != FullNAT):
			t.Errorf("%s: %s, %v", line, c.Dest.Forward, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}
