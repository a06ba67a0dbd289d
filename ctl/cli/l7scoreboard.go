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
)

const scoreboardHelp = `One letter for each thread, as Apache's server-status has it:

  _  waits for a connection        K  has an idle connection, kept alive
  S  starts                        D  connects to a backend
  R  reads a request               C  closes a connection
  W  sends a reply                 L  writes its log
  G  ends when this is done        I  ends, having nothing to do

busy are all but _, S and I. What the letters mean for you depends on the model:

  prefork, worker   a letter is one connection at most. Many K mean that threads are
                    held by clients that say nothing: event needs none for those.
  event             the same, but K hardly shows: idle connections are at the listener
                    thread, and counted as HELD.
  loop              a letter is an event loop with any number of connections: W if a
                    request is in flight, K if connections are idle, else _.

Processes in state draining finish what they have begun: after a reload, or when there
were too many. DIED UNASKED are crashes: each is replaced, and what it held is lost.
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
	Processes   int           `json:"processes"`
	Threads     int           `json:"threads"`
	Busy        int           `json:"busy"` // threads
	Idle        int           `json:"idle"`
	Connections int64         `json:"connections"`
	Held        int64         `json:"held"` // connections that hold no thread
	CPU         time.Duration `json:"cpu"`
}

func boardsOf(planes []ctl.PlaneWorkers) (boards []board) {
	for _, p := range planes {
		b := board{PlaneWorkers: p}
		for _, process := range p.Processes {
			b.Totals.Processes++
			b.Totals.Connections += process.Connections
			b.Totals.Held += process.Held
			for _, thread := range process.Threads {
				b.Totals.Threads++
				b.Totals.CPU += thread.CPU
				if scoreboard.State(thread.State[0]).Busy() {
					b.Totals.Busy++
				} else {
					b.Totals.Idle++
				}
			}
		}
		boards = append(boards, b)
	}
	return boards
}

// boardLegend is for those who know what it is about; scoreboardHelp is for all others.
const boardLegend = "_ waits  S starts  R reads  W answers  K kept alive  D connects  C closes  L logs  G finishes  I ends; --help says more"

const (
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
		t.rows = append(t.rows, []cell{{fmt.Sprintf("%s  %s  master %d, generation %d, died unasked %d", where, modelText(b.Shape, b.Loop), b.Master, b.Generation, b.Died), bold}})
		if b.Error != "" {
			t.line("%s", b.Error)
			continue
		}
		n := b.Totals
		t.line("busy %d, idle %d of %s in %s; %s; CPU %s",
			n.Busy, n.Idle, count(n.Threads, "thread"), count(n.Processes, "process"), connectionsText(b.Shape, n), n.CPU.Round(10*time.Millisecond))
		t.line("")
		for _, line := range letters(b) {
			t.line("%s", line)
		}
		t.line("")
		processTable(t, b, all)
		deathTable(t, b)
	}
	t.line("")
	t.rows = append(t.rows, []cell{{boardLegend, dim}})
}

// connectionsText says how many there are and, of event, how many hold no thread.
func connectionsText(s lb.Shape, n boardTotals) string {
	text := count(int(n.Connections), "connection")
	if s.Model == lb.ModelEvent {
		text += fmt.Sprintf(", %d of them held without a thread", n.Held)
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
	t.head("PID", "GENERATION", "STATE", "AGE", "CONNS", "HELD", "CPU", "THREADS")
	for i, p := range b.Processes {
		if i == fewProcesses && !all {
			t.line("and %d more; --all lists them", len(b.Processes)-i)
			break
		}
		var cpu time.Duration
		var states strings.Builder
		for _, thread := range p.Threads {
			cpu += thread.CPU
			states.WriteString(thread.State)
		}
		style := map[string]string{"serving": green, "starting": yellow, "draining": yellow}[p.State]
		t.row(p.PID, p.Generation, cell{p.State, style}, short(p.Age), p.Connections, p.Held, cpu.Round(10*time.Millisecond), summed(states.String()))
	}
}

// summed writes many letters as "W 3, _ 22", the most frequent first.
func summed(states string) string {
	if len(states) <= 32 {
		return states
	}
	var parts []string
	for len(states) > 0 {
		letter := states[:1]
		n := strings.Count(states, letter)
		parts = append(parts, fmt.Sprintf("%s %d", letter, n))
		states = strings.ReplaceAll(states, letter, "")
	}
	return strings.Join(parts, ", ")
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
