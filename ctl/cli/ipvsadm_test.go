package cli

import (
	"bytes"
	"strings"
	"testing"
)

func TestIpvsadmKeepsItsOwnWords(t *testing.T) {
	s := &shell{out: &bytes.Buffer{}, err: &bytes.Buffer{}}
	app := s.app()
	for _, c := range []struct{ in, want string }{
		{"ipvsadm -l -n", "lbctl ipvsadm -- -l -n"},
		{"/usr/sbin/ipvsadm --lab x", "lbctl ipvsadm -- --lab x"},
		{"lbctl ipvsadm", "lbctl ipvsadm --"},
		{"lbctl l4 -l --lab x", "lbctl l4 -- -l --lab x"},
		{"lbctl ipvsadm --lab x --dir=/d -l", "lbctl --lab x --dir=/d ipvsadm -- -l"},
		{"lbctl --lab x ipvsadm -L -- --lab", "lbctl --lab x ipvsadm -- -L -- --lab"},
		{"lbctl ipvsadm --lab", "lbctl ipvsadm -- --lab"},
		{"lbctl l4 run --config f --lab x", "lbctl --lab x l4 run --config f"},
		{"lbctl l4 --dir /d validate f -o json", "lbctl --dir /d l4 validate -o json f"},
		{"lbctl l4 flows -n 5 --lab x", "lbctl --lab x l4 flows -n 5"},
		{"lbctl l4 --socket /s -Ln run", "lbctl --socket /s l4 -- -Ln run"},
		{"lbctl ipvsadm run", "lbctl ipvsadm -- run"},
		{"ipvsadm run", "lbctl ipvsadm -- run"},
		{"lbctl status -o json", "lbctl status -o json"},
		{"lbctl", "lbctl"},
	} {
		if got := strings.Join(interspersed(app, ipvsadmArgs(app, strings.Fields(c.in))), " "); got != c.want {
			t.Errorf("%q becomes %q, want %q", c.in, got, c.want)
		}
	}
}
