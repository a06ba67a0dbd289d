package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts in testdata run lbctl as a command, without a lab.
func TestMain(m *testing.M) {
	main := func() { os.Exit(Main(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)) }
	testscript.Main(m, map[string]func(){"lbctl": main, ipvsadmName: main, ipvsadmSave: main, ipvsadmRestore: main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", Setup: func(env *testscript.Env) error {
		env.Setenv("LBCTL_RUN", env.WorkDir+"/run")
		return nil
	}})
}

func TestFlagsMayFollowArguments(t *testing.T) {
	s := &shell{out: &bytes.Buffer{}, err: &bytes.Buffer{}}
	app := s.app()
	for _, c := range []struct{ in, want string }{
		{"lbctl drain s1 --deadline 5s", "lbctl drain --deadline 5s s1"},
		{"lbctl drain s1 --deadline=5s", "lbctl drain --deadline=5s s1"},
		{"lbctl --lab x weight s1 5 -o json", "lbctl --lab x weight -o json s1 5"},
		{"lbctl down x --all", "lbctl down --all x"},
		{"lbctl validate a.yaml -o json b.yaml", "lbctl validate -o json a.yaml b.yaml"},
		{"lbctl exec c1 -- ls -o", "lbctl exec c1 -- ls -o"},
		{"lbctl exec c1 ls -o", "lbctl exec c1 ls -o"},
		{"lbctl exec --lab x c1 ls --lab y", "lbctl --lab x exec c1 ls --lab y"},
		{"lbctl exec --help", "lbctl exec --help"},
		{"lbctl weight s1 -5", "lbctl weight s1 -5"},
		{"lbctl status web --lab x -o json", "lbctl --lab x status -o json web"},
		{"lbctl status --lab", "lbctl status --lab"},
		{"lbctl status --lab=x", "lbctl --lab=x status"},
		{"lbctl drain -- --lab", "lbctl drain -- --lab"},
		{"lbctl list --help", "lbctl list --help"},
		{"lbctl", "lbctl"},
		{"lbctl --lab", "lbctl --lab"},
	} {
		if got := strings.Join(interspersed(app, strings.Fields(c.in)), " "); got != c.want {
			t.Errorf("%q becomes %q, want %q", c.in, got, c.want)
		}
	}
}

func TestExitCodes(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []struct {
		ctx  context.Context
		err  error
		want int
	}{
		{t.Context(), nil, exitOK},
		{t.Context(), errors.New("x"), exitFailed},
		{t.Context(), usagef("x"), exitUsage},
		{t.Context(), withCode(exitUnable, errSilent), exitUnable},
		{ended, errors.New("x"), exitInterrupted},
		{ended, nil, exitOK},
	} {
		if got := exitCode(c.ctx, c.err); got != c.want {
			t.Errorf("exit code of %v is %d, want %d", c.err, got, c.want)
		}
	}
}

func TestTablesAlignWhatIsSeen(t *testing.T) {
	var b bytes.Buffer
	w := &tableWriter{color: true}
	w.row(cell{"ä", green}, "x")
	w.row("longer", "y")
	w.line("a line of its own")
	if err := w.flush(&b); err != nil {
		t.Fatal(err)
	}
	want := green + "ä" + reset + "       x\nlonger  y\na line of its own\n"
	if b.String() != want {
		t.Errorf("table is %q, want %q", b.String(), want)
	}
}

func TestLastLines(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{{"a\nb\nc\n", 2, "b\nc\n"}, {"a\nb\nc", 1, "c"}, {"a\n", 5, "a\n"}, {"", 3, ""}, {"a\nb\n", 0, "a\nb\n"}} {
		if got := string(lastLines([]byte(c.in), c.n)); got != c.want {
			t.Errorf("the last %d lines of %q are %q, want %q", c.n, c.in, got, c.want)
		}
	}
}

// Every verb teaches: a usage line, and no flag without one.
func TestEveryVerbHasHelp(t *testing.T) {
	s := &shell{out: &bytes.Buffer{}, err: &bytes.Buffer{}}
	var names []string
	for _, v := range s.app().Commands {
		if v.Usage == "" || v.Action == nil {
			t.Errorf("%s: no usage or no action", v.Name)
		}
		names = append(names, v.Name)
	}
	for _, want := range strings.Fields("up down list status top events drain enable disable weight bench compare run exec doctor validate schema logs version report completion") {
		if !slices.Contains(names, want) {
			t.Errorf("no verb %s", want)
		}
	}
}
