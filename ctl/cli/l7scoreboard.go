package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"lbctl/ctl"
	"lbctl/internal/lb"
	"lbctl/internal/scoreboard"
	"lbctl/l7"
)

const scoreboardHelp = `One letter for each thread, as Apache's server-status has it:

  _  waits for a connection        K  has an idle connection, kept alive
  S  starts                        D  connects to a backend
  R  reads a request               C  closes a connection
  W  sends a reply                 G  ends when this is done
  I  ends, having nothing to do

busy are all but _, S and I. Apache's L is missing: no thread waits for a log. What the letters mean for you depends on the model:

  prefork, worker   a letter is one connection at most. Many K mean that threads are
                    held by clients that say nothing: event needs none for those.
  event             the same, but K hardly shows: idle connections are at the listener
                    thread, and counted as HELD.
  loop              a letter is an event loop with any number of connections: W if a
                    request is in flight, K if connections are idle, else _.

REQUESTS are those that are over, SENT the bytes of their answers, CPU the kernel's figure
for the process. The line above has all workers' since the master was started, also of
those that have ended. -o json has them for each thread, and the bytes received.

Processes in state draining finish what they have begun: after a reload, or when there
were too many. 'died unasked' are crashes: each is replaced, and what it held is lost.
A terminal is redrawn each second until Ctrl-C; else the board is printed once.`

func (s *shell) l7Scoreboard() *cli.Command {
	return &cli.Command{
		Name:        "scoreboard",
		Aliases:     []string{"workers"},
		Usage:       "show what each process and thread of the proxy does, and how the last ones ended",
		Description: scoreboardHelp,
		Flags: []cli.Flag{
			outputFlag(), s.nodeFlag(),
			&cli.BoolFlag{Name: "once", Usage: "print it once, also on a terminal"},
			&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "list every process, not only the first ones"},
			&cli.DurationFlag{Name: "interval", Aliases: []string{"i"}, Value: time.Second, Usage: "between two refreshes"},
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			interval := c.Duration("interval")
			if interval < minInterval {
				return usagef("%s: interval %v: want at least %v", verbOf(c), interval, minInterval)
			}
			l, planes, err := s.l7Planes(c, c.String("node"))
			if err != nil {
				return err
			}
			if !s.screen || c.Bool("once") || c.String("output") != "table" {
				boards := boardsOf(planes)
				return s.print(c, boards, func(t *tableWriter) { boardTables(t, l, boards, c.Bool("all")) })
			}
			return s.redraw(c, l, interval)
		},
	}
}

// redraw shows boards in place until Ctrl-C, or until the lab is gone.
func (s *shell) redraw(c *cli.Context, l *session, interval time.Duration) error {
	for {
		_, planes, err := s.l7Planes(c, c.String("node"))
		if c.Context.Err() != nil || errors.Is(err, errDown) {
			return nil
		}
		if err != nil {
			return err
		}
		t := &tableWriter{color: s.color}
		boardTables(t, l, boardsOf(planes), c.Bool("all"))
		var screen strings.Builder
		screen.WriteString("\x1b[H\x1b[J") // home, clear below: no flicker
		if err := t.flush(&screen); err != nil {
			return err
		}
		if _, err := io.WriteString(s.out, screen.String()); err != nil {
			return err
		}
		select {
		case <-c.Context.Done():
			return nil
		case <-time.After(interval):
		}
	}
}

// board is what a proxy's processes do, with totals.
type board struct {
	ctl.PlaneWorkers
	Totals boardTotals `json:"totals"`
}

type boardTotals struct {
	Processes   int   `json:"processes"`
	Threads     int   `json:"threads"`
	Busy        int   `json:"busy"` // threads
	Idle        int   `json:"idle"`
	Connections int64 `json:"connections"`
	Held        int64 `json:"held"` // connections that hold no thread
}

func boardsOf(planes []ctl.PlaneWorkers) (boards []board) {
	for _, p := range planes {
		b := board{PlaneWorkers: p}
		for _, process := range p.Processes {
			b.Totals.Processes++
			b.Totals.Connections += process.Connections
			b.Totals.Held += process.Held
			b.Totals.Threads += len(process.Threads)
			b.Totals.Busy += busy(process)
		}
		b.Totals.Idle = b.Totals.Threads - b.Totals.Busy
		boards = append(boards, b)
	}
	return boards
}

// busy counts the threads that are.
func busy(p l7.WorkerProcess) (n int) {
	for _, thread := range p.Threads {
		if scoreboard.State(thread.State[0]).Busy() {
			n++
		}
	}
	return n
}

// boardLegend is for those who know what it is about; scoreboardHelp is for all others.
var boardLegend = []string{
	"_ waits  S starts  R reads  W answers  K kept alive  D connects  C closes",
	"G finishes  I ends; --help says more",
}

const (
	screenWidth  = 80 // columns that a terminal has at least
	boardWidth   = 64 // letters in a line, as Apache's
	fewProcesses = 16 // that are listed unless all are asked for
)

func boardTables(t *tableWriter, l *session, boards []board, all bool) {
	for i, b := range boards {
		if i > 0 {
			t.line("")
		}
		where := l.title()
		if b.Node != "" {
			where += " on " + b.Node
		}
		for _, line := range wrapped(where+": "+modelText(b.Shape, b.Loop), screenWidth) {
			t.rows = append(t.rows, []cell{{line, bold}})
		}
		if b.Error != "" {
			t.line("%s", b.Error)
			continue
		}
		n := b.Totals
		t.line("master %d, generation %d, died unasked %d", b.Master, b.Generation, b.Died)
		t.line("busy %d, idle %d of %s in %s; %s",
			n.Busy, n.Idle, count(n.Threads, "thread"), count(n.Processes, "process"), connectionsText(b.Shape, n))
		t.line("%s, %s sent; CPU %s", count(int(b.Requests), "request"), bytesText(b.BytesOut), cpuText(b.CPU))
		t.line("")
		for _, line := range letters(b) {
			t.line("%s", line)
		}
		t.line("")
		processTable(t, b, all)
		deathTable(t, b)
	}
	t.line("")
	for _, line := range boardLegend {
		t.rows = append(t.rows, []cell{{line, dim}})
	}
}

// cpuText is right to 10 ms, or to the second if it is long.
func cpuText(d time.Duration) string {
	if d < time.Minute {
		return d.Round(10 * time.Millisecond).String()
	}
	return short(d)
}

// connectionsText says how many there are and, of event, how many hold no thread.
func connectionsText(s lb.Shape, n boardTotals) string {
	text := count(int(n.Connections), "connection")
	if s.Model == lb.ModelEvent {
		text += fmt.Sprintf(", %d held", n.Held)
	}
	return text
}

// letters are all threads', in lines; a space stands between processes of many.
func letters(b board) (lines []string) {
	var text strings.Builder
	for _, p := range b.Processes {
		if text.Len() > 0 && b.Shape.Threads > 1 {
			text.WriteByte(' ')
		}
		for _, thread := range p.Threads {
			text.WriteString(thread.State)
		}
	}
	for all := text.String(); len(all) > 0; {
		n := min(boardWidth, len(all))
		lines, all = append(lines, strings.TrimSpace(all[:n])), all[n:]
	}
	return lines
}

func processTable(t *tableWriter, b board, all bool) {
	t.head("PID", "GEN", "STATE", "AGE", "CONNS", "HELD", "REQUESTS", "SENT", "CPU", "BUSY")
	for i, p := range b.Processes {
		if i == fewProcesses && !all {
			t.line("and %d more; --all lists them", len(b.Processes)-i)
			break
		}
		style := map[string]string{"serving": green, "starting": yellow, "draining": yellow}[p.State]
		t.row(p.PID, p.Generation, cell{p.State, style}, short(p.Age), p.Connections, p.Held, p.Requests, bytesText(p.BytesOut), cpuText(p.CPU),
			fmt.Sprintf("%d/%d", busy(p), len(p.Threads)))
	}
}

const fewDeaths = 8

func deathTable(t *tableWriter, b board) {
	if len(b.Deaths) == 0 {
		return
	}
	t.line("")
	t.head("DIED", "PID", "AFTER", "ASKED", "REASON")
	for _, d := range b.Deaths[max(len(b.Deaths)-fewDeaths, 0):] {
		asked := cell{"no", red}
		if d.Asked {
			asked = cell{"yes", ""}
		}
		t.row(d.At.Format(time.TimeOnly), d.PID, short(d.Lived), asked, d.Reason)
	}
}

// modelText is "event, at most 16 processes of 25 threads", or "loop, 2 processes, epoll: …".
func modelText(s lb.Shape, loop string) string {
	s = s.WithDefaults()
	switch s.Model {
	case lb.ModelLoop:
		return fmt.Sprintf("model loop, %s, %s", count(s.Processes, "process"), cmp.Or(loop, "kind unknown"))
	case lb.ModelPrefork:
		return fmt.Sprintf("model prefork, at most %s", count(s.Processes, "process"))
	}
	return fmt.Sprintf("model %s, at most %s of %s", s.Model, count(s.Processes, "process"), count(s.Threads, "thread"))
}
