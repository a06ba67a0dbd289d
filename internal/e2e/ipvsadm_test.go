package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

const ipvsadmLab = `
name: lvs
servers: 3
services:
  web: {plane: l4, policy: wrr, backends: [{node: s1, weight: 2}, s2, s3]}
  app: {plane: l7}
`

// ipvsadm calls the binary by that name and returns all that it printed and its exit code.
func (w *workshop) ipvsadm(input string, args ...string) (out string, code int) {
	w.t.Helper()
	link := filepath.Join(w.dir, "ipvsadm")
	if err := os.Symlink(binary, link); err != nil && !errors.Is(err, os.ErrExist) {
		w.t.Fatal(err)
	}
	cmd := w.command(args...)
	cmd.Path, cmd.Args[0] = link, "ipvsadm"
	cmd.Stdin = strings.NewReader(input)
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	return b.String(), cmd.ProcessState.ExitCode()
}

func TestAnLVSCourseWorksOnALab(t *testing.T) {
	w := newWorkshop(t)
	w.lbctl("up", w.scenario("lvs.yaml", ipvsadmLab))
	l := w.open("lvs")
	vip := l.service(t, "web").VIP.Addr.String()
	const title = "IP Virtual Server version 1.2.1 (size=1048576)\nProt LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
	before := title + "TCP  198.18.3.1:80 wrr\n" +
		"  -> 198.18.4.1:80                Route   2      0          0         \n" +
		"  -> 198.18.4.2:80                Route   1      0          0         \n"
	third := "  -> 198.18.4.3:80                Route   1      0          0         \n"
	want := func(what, input, text string, exit int, args ...string) {
		t.Helper()
		if out, code := w.ipvsadm(input, args...); out != text || code != exit {
			t.Errorf("%s: ipvsadm %s: exit %d\n%swant %d\n%s", what, strings.Join(args, " "), code, out, exit, text)
		}
	}
	want("the scenario's service", "", before+third, 0, "-Ln")
	want("without s3", "", "", 0, "-d", "-t", vip, "-r", "s3")
	for _, verb := range []string{"ipvsadm", "l4"} {
		if out := w.lbctl(verb, "--lab", "lvs", "-l", "-n"); out != before {
			t.Errorf("lbctl %s -l -n prints\n%swant\n%s", verb, out, before)
		}
	}

	want("a third server", "", "", 0, "-a", "-t", vip, "-r", "s3", "-w", "5")
	want("a third server", "", before+strings.Replace(third, "1  ", "5  ", 1), 0, "-Ln")
	seen := map[string]bool{}
	for range 60 {
		seen[l.dial(t, "web").ask(t, "with a third server")] = true
	}
	if !seen["s3"] {
		t.Errorf("60 connections met %v, and not the server that was added", seen)
	}
	want("weight 0", "", "", 0, "-e", "-t", vip, "-r", "198.18.4.3", "-w", "0")
	for range 60 {
		if s := l.dial(t, "web").ask(t, "at weight 0"); s == "s3" {
			t.Fatal("a server of weight 0 took a new connection")
		}
	}
	if out, _ := w.ipvsadm("", "-Ln", "--stats"); !strings.Contains(out, "TCP  198.18.3.1:80                     120 ") {
		t.Errorf("120 connections were made, and --stats says\n%s", out)
	}
	if out, code := w.ipvsadm("", "-Z", "-t", vip); out != "" || code != 0 {
		t.Errorf("-Z: exit %d: %s", code, out)
	}
	l.dial(t, "web").ask(t, "after -Z")
	if out, _ := w.ipvsadm("", "-Ln", "--stats"); !strings.Contains(out, "TCP  198.18.3.1:80                       1 ") {
		t.Errorf("a connection was made since -Z, and --stats says\n%s", out)
	}
	if all := l.service(t, "web").Counters.Connections; all < 121 {
		t.Errorf("-Z took the counters of others back: %d connections", all)
	}
	talking := l.dial(t, "web")
	talking.ask(t, "before -Lc")
	conn := fmt.Sprintf("%-3s 14:5[0-9]  %-11s %-18s %-18s 198.18.4.[12]:80\n", "TCP", "ESTABLISHED", talking.conn.LocalAddr(), vip)
	if out, code := w.ipvsadm("", "-Lcn"); code != 0 || !strings.HasPrefix(out, "IPVS connection entries\npro expire state ") || !regexp.MustCompile(conn).MatchString(out) {
		t.Errorf("-Lcn: exit %d, want one like %q\n%s", code, conn, out)
	}
	w.lbctl("weight", "web/s1", "9")
	want("the configured weight, against one set at runtime", "", "", 0, "-e", "-t", vip, "-r", "s1", "-w", "2")
	if out, _ := w.ipvsadm("", "-Ln"); !strings.Contains(out, "198.18.4.1:80                Route   2 ") {
		t.Errorf("the configured weight does not count again\n%s", out)
	}
	w.lbctl("drain", "web/s1", "--deadline", "0s")
	if out, _ := w.ipvsadm("", "-Ln"); !strings.Contains(out, "198.18.4.1:80                Route   0 ") {
		t.Errorf("a drained server takes something in\n%s", out)
	}
	want("it is gone", "", "", 0, "-d", "-t", vip, "-r", "s3")
	want("it is gone", "", "No such destination\n", 255, "-d", "-t", vip, "-r", "s3")
}

func TestSaveClearRestoreIsTheSameService(t *testing.T) {
	w := newWorkshop(t)
	w.lbctl("up", w.scenario("lvs.yaml", ipvsadmLab))
	was := w.open("lvs").service(t, "web")
	for _, how := range []string{"-S", "-Sn"} {
		saved, code := w.ipvsadm("", how)
		if code != 0 || !strings.Contains(saved, "-A -t 198.18.3.1:") {
			t.Fatalf("%s: exit %d\n%s", how, code, saved)
		}
		if out, code := w.ipvsadm("", "-C"); out != "" || code != 0 {
			t.Fatalf("-C: exit %d: %s", code, out)
		}
		if st := w.open("lvs").status(t); len(st.Services) != 1 || st.Services[0].Name != "app" {
			t.Errorf("after -C the lab has %v, want the L7 service alone", st.Services)
		}
		if out, code := w.ipvsadm(saved, "-R"); out != "" || code != 0 {
			t.Fatalf("-R: exit %d: %s", code, out)
		}
		if again, _ := w.ipvsadm("", how); again != saved {
			t.Errorf("restored is\n%swant\n%s", again, saved)
		}
	}
	l := w.open("lvs")
	is := l.service(t, "web")
	if is.Check != was.Check || is.Backends[0].Name != was.Backends[0].Name {
		t.Errorf("restored service has check %q and %q first, want %q and %q", is.Check, is.Backends[0].Name, was.Check, was.Backends[0].Name)
	}
	l.dial(t, "web").ask(t, "after the restore")
}

func TestIpvsadmRefusesWhatThePlaneCannotDo(t *testing.T) {
	w := newWorkshop(t)
	if out, code := w.ipvsadm("", "-Ln"); code != 2 || !strings.HasPrefix(out, "Can't initialize ipvs: no lab is up") {
		t.Errorf("without a lab: exit %d\n%s", code, out)
	}
	w.lbctl("up", w.scenario("lvs.yaml", ipvsadmLab))
	before, _ := w.ipvsadm("", "-Sn")
	for _, c := range []struct {
		args, says string
		code       int
	}{
		{"-A --sctp-service 198.18.3.1:81 -s rr", "forwards TCP and UDP, no SCTP", 255},
		{"-A -t 198.18.3.1:81 -s rr -p 60 --pe sip", "no persistence engines", 255},
		{"-A -f 7 -s rr", "no service of the configuration bears the mark 7", 255},
		{"-A -t 198.18.3.1:81 -s rr -b flag-1", "does nothing by the flag flag-1", 255},
		{"-e -t 198.18.3.1:80 -r s3 -m", "forwarded to alike", 255},
		{"-A -t 198.18.3.1:80 -s rr", "Service already exists", 255},
		{"-a -t 198.18.3.9:80 -r s3", "Service not defined", 255},
		{"--set 2678400 0 0", "Invalid argument: timeout 744h0m0s: want at most 576h0m0s", 255},
		{"--set 2678401 0 0", "invalid timeout value `2678401' specified", 2},
		{"--start-daemon master", "synchronise as failover in its scenario says", 255},
		{"-Ln -t 198.18.3.9:80", "No such service", 1},
		{"-A -t nonsense", "illegal virtual server address[:port] specified", 2},
	} {
		if out, code := w.ipvsadm("", strings.Fields(c.args)...); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("ipvsadm %s: exit %d, want %d and %q:\n%s", c.args, code, c.code, c.says, out)
		}
	}
	if after, _ := w.ipvsadm("", "-Sn"); after != before {
		t.Errorf("what was refused has changed\n%sto\n%s", before, after)
	}
}

func TestAServiceMadeWithIpvsadmLastsUntilTheNextUp(t *testing.T) {
	w := newWorkshop(t)
	file := w.scenario("lvs.yaml", ipvsadmLab)
	w.lbctl("up", file)
	if out, code := w.ipvsadm("-A -t 198.18.3.1:8080 -s mh -b mh-port\n-a -t 198.18.3.1:8080 -r s2\n", "-R"); code != 0 {
		t.Fatalf("-R: exit %d: %s", code, out)
	}
	if out, code := w.ipvsadm("", "-a", "-t", "198.18.3.1:8080", "-r", "198.18.4.99"); code != 0 || !strings.Contains(out, "nobody answers for 198.18.4.99") {
		t.Errorf("a server that is not there: exit %d, want 0 and a warning:\n%s", code, out)
	}
	if out, code := w.ipvsadm("", "-d", "-t", "198.18.3.1:8080", "-r", "198.18.4.99"); code != 0 || out != "" {
		t.Errorf("it goes again: exit %d: %s", code, out)
	}
	svc := w.open("lvs").service(t, "tcp-198.18.3.1-8080")
	if len(svc.Backends) != 1 || svc.Backends[0].Name != "s2" || svc.Policy != "mh" {
		t.Errorf("the new service is %+v, want s2 behind mh", svc)
	}
	if out := w.lbctl("up", file); !strings.Contains(out, "delete service tcp-198.18.3.1-8080") {
		t.Errorf("up does not take the service away:\n%s", out)
	}
}

func TestChangesMadeAtOnceAllHappen(t *testing.T) {
	w := newWorkshop(t)
	w.lbctl("up", w.scenario("lvs.yaml", ipvsadmLab))
	ports := []string{"9001", "9002", "9003", "9004", "9005", "9006"}
	var wg sync.WaitGroup
	for _, port := range ports {
		wg.Go(func() {
			if out, errOut, code := w.try("ipvsadm", "-A", "-t", "198.18.3.1:"+port, "-s", "rr"); code != 0 {
				t.Errorf("-A of port %s: exit %d: %s%s", port, code, out, errOut)
			}
		})
	}
	wg.Wait()
	out, _ := w.ipvsadm("", "-Sn")
	for _, port := range ports {
		if !strings.Contains(out, "-A -t 198.18.3.1:"+port+" -s rr\n") {
			t.Errorf("port %s is lost:\n%s", port, out)
		}
	}
}
