package accesslog

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
)

// numbered logs n requests whose targets are /who/0 and so on.
func numbered(l *Log, who, n int) {
	r := whole()
	for i := range n {
		r.Target = fmt.Appendf(nil, "/%d/%d", who, i)
		l.Log(&r)
	}
}

// read returns the targets in a file, and fails at what is no line.
func read(t *testing.T, path string) (targets []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		text := lines.Text()
		target := strings.Fields(text)
		if len(target) != 12 || !strings.HasPrefix(text, "198.51.100.7 - - ") {
			t.Fatalf("no line: %q", text)
		}
		targets = append(targets, target[6])
	}
	return targets
}

func open(t *testing.T, path string) (*Logs, *Log, *atomic.Int64) {
	logs, lost := NewLogs(), new(atomic.Int64)
	return logs, logs.Log(lb.AccessLog{Path: path}, func(n int) { lost.Add(int64(n)) }), lost
}

const writerVariable = "LBCTL_ACCESSLOG_TEST_WRITER"

func TestMain(m *testing.M) {
	if path := os.Getenv(writerVariable); path != "" {
		logs := NewLogs()
		l := logs.Log(lb.AccessLog{Path: path}, func(n int) { panic(fmt.Sprint(n, " lines lost")) })
		for range 20 {
			numbered(l, os.Getpid(), 1000)
			time.Sleep(2 * time.Millisecond)
		}
		logs.Close(context.Background())
		return
	}
	os.Exit(m.Run())
}

func TestLinesOfSeveralProcessesDoNotInterleave(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), writerVariable+"="+path)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	all.Wait()
	if n := len(read(t, path)); n != 3*20*1000 {
		t.Errorf("%d lines", n)
	}
	if info, _ := os.Stat(path); info.Mode().Perm()&^0o640 != 0 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestLinesAreInTheFileWithinASecond(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	logs, l, _ := open(t, path)
	defer logs.Close(t.Context())
	numbered(l, 1, 3)
	time.Sleep(time.Second)
	if n := len(read(t, path)); n != 3 {
		t.Errorf("%d lines", n)
	}
}

func TestReopenLosesNoLine(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	logs, l, lost := open(t, path)
	const threads, each = 3, 20000
	var writers sync.WaitGroup
	for who := range threads {
		writers.Go(func() { numbered(l, who, each) })
	}
	for i := range 10 {
		time.Sleep(2 * time.Millisecond)
		_ = os.Rename(path, fmt.Sprint(path, ".", i)) // there is none before the first flush
		if err := logs.Reopen(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	writers.Wait()
	logs.Close(t.Context())
	seen := map[string]bool{}
	files, _ := filepath.Glob(path + "*")
	for _, file := range files {
		for _, target := range read(t, file) {
			if seen[target] {
				t.Fatalf("%s twice", target)
			}
			seen[target] = true
		}
	}
	if n := len(seen) + int(lost.Load()); n != threads*each || len(files) < 2 {
		t.Errorf("%d lines of %d in %d files, %d counted as lost", len(seen), threads*each, len(files), lost.Load())
	}
}

func TestAFileThatCannotBeOpenedAnewGoesOn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "log")
	logs, l, lost := open(t, path)
	numbered(l, 1, 1)
	if err := logs.Reopen(t.Context()); err != nil {
		t.Fatal(err)
	}
	moved := dir + ".old"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	if logs.Reopen(t.Context()) == nil {
		t.Error("a file in no folder was opened")
	}
	numbered(l, 2, 1)
	logs.Close(t.Context())
	if got := read(t, filepath.Join(moved, "log")); len(got) != 2 || lost.Load() != 0 {
		t.Errorf("%q", got)
	}
}

// A FIFO that nobody reads stands for a disk that does not keep up.
func TestAFileThatTakesNothingHoldsUpNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Check(path); err != nil {
		t.Errorf("a FIFO without a reader is refused: %v", err)
	}
	reader, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	logs, l, lost := open(t, path)
	const n = 200_000
	began := time.Now()
	numbered(l, 1, n)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("%d lines took %v", n, took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	logs.Close(ctx)
	_ = reader.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	got := 0
	for lines := bufio.NewScanner(reader); lines.Scan(); got++ {
	}
	if got == 0 || got+int(lost.Load()) != n {
		t.Errorf("%d lines in the FIFO and %d counted as lost, of %d", got, lost.Load(), n)
	}
}

// A write to a FIFO that nobody reads, and that blocks, stands for one to a file system
// that hangs.
func TestAFileThatHangsIsReopenedLaterAndTheOthersNow(t *testing.T) {
	dir := t.TempDir()
	stuck := filepath.Join(dir, "stuck")
	if err := unix.Mkfifo(stuck, 0o600); err != nil {
		t.Fatal(err)
	}
	fifo, err := os.OpenFile(stuck, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer fifo.Close()
	logs, l, lost := open(t, stuck)
	defer logs.Close(t.Context())
	if err := logs.Reopen(t.Context()); err != nil { // it is open then
		t.Fatal(err)
	}
	if err := unix.SetNonblock(logs.sinks[stuck].file.fd, false); err != nil {
		t.Fatal(err)
	}
	others := make([]string, 5)
	for i := range others {
		others[i] = filepath.Join(dir, fmt.Sprint(i))
		logs.Log(lb.AccessLog{Path: others[i]}, func(int) {})
	}
	const n = 2000 // lines are more than a FIFO holds
	numbered(l, 1, n)
	for _, path := range append(others, stuck) {
		_ = os.Rename(path, path+".old") // it may not be there yet
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err = logs.Reopen(ctx)
	if err == nil || err.Error() != "reopen log "+stuck+": the file does not answer yet: context deadline exceeded" {
		t.Errorf("reopen = %v", err)
	}
	for _, path := range others {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	if err := fifo.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(fifo)
	for range n {
		if !lines.Scan() {
			t.Fatalf("the FIFO has fewer than %d lines: %v; %d are lost", n, lines.Err(), lost.Load())
		}
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if info, err := os.Stat(stuck); err == nil && info.Mode().IsRegular() {
			return
		}
		if time.Now().After(end) {
			t.Fatal("what hung is not reopened when it goes on")
		}
	}
}

func TestAFullDiskTearsNoLine(t *testing.T) {
	logs, l, lost := open(t, "/dev/full")
	numbered(l, 1, 5)
	logs.Close(t.Context())
	if lost.Load() != 5 {
		t.Errorf("%d lines lost", lost.Load())
	}
	path := filepath.Join(t.TempDir(), "log")
	f := file{path: path, fd: -1}
	if err := f.reopen(); err != nil {
		t.Fatal(err)
	}
	f.write([]byte("half"))
	f.torn = f.mid // as if the disk had been full then
	f.write([]byte("line\n"))
	f.close()
	if got, _ := os.ReadFile(path); string(got) != "half\nline\n" {
		t.Errorf("%q", got)
	}
}

func TestASampleIsOneOfSoMany(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	logs := NewLogs()
	numbered(logs.Log(lb.AccessLog{Path: path, Sample: 10}, func(int) {}), 0, 25)
	logs.Close(t.Context())
	if got := read(t, path); len(got) != 3 || got[1] != "/0/10" {
		t.Errorf("%q", got)
	}
}
