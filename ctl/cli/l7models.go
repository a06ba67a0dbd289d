package cli

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"lbctl/ctl"
	"lbctl/internal/lb"
)

// modelTexts explain the models, a column each: the same proxy runs under all four.
type modelTexts struct {
	Model     lb.Model `json:"model"`
	Like      string   `json:"like"`
	Processes string   `json:"processes"`
	Holds     string   `json:"connection_holds"`
	Idle      string   `json:"idle_connection_holds"`
	Crash     string   `json:"crash_costs"`
	Grows     string   `json:"grows"`
}

var models = []modelTexts{
	{lb.ModelPrefork, "Apache prefork", "many, of 1 thread", "a process", "a process", "1 connection", "processes, 1, 2, 4 … 32 a second"},
	{lb.ModelWorker, "Apache worker", "few, of 25 threads", "a thread", "a thread", "the process's, 25 at most", "processes, likewise"},
	{lb.ModelEvent, "Apache event", "few, of 25 threads and a listener", "a thread while a request is served", "memory only", "the process's, idle ones too", "processes, likewise"},
	{lb.ModelLoop, "nginx", "one for each CPU, of 1 loop", "memory only", "memory only", "the process's, any number", "not: a loop serves any number"},
}

// A trial is something to do to a proxy that shows what its model is about.
type trial struct {
	Try    string `json:"try"`
	Expect string `json:"expect"`
}

var trials = []trial{
	{"lbctl l7 scoreboard", "the letters of all threads, live; leave it open beside what follows"},
	{"kill -SEGV PID of a worker", "requests that it held break: 1 under prefork, up to 25 under worker and event, its share of all under loop; another process stands in at once, and the board counts a death unasked"},
	{"lbctl l7 reload (HUP)", "a new generation starts, the old one drains (G, I) and ends, when its last tunnel or answer has ended or after drain_timeout; no request fails"},
	{"lbctl l7 upgrade (USR2)", "the binary is started anew and takes the sockets; the master's PID changes, no request fails"},
	{"lbctl l7 stop (QUIT)", "what is in flight is answered, then all processes end; the daemon starts another proxy"},
	{"idle connections, more than threads", "under worker and prefork they fill the board with K, and the next client waits for a timeout (client_idle_timeout); under event HELD grows and threads stay _; loop does not mind"},
	{"lbctl bench SERVICE --connections 200", "prefork starts processes, 1, 2, 4 … a second, until enough are spare, and ends them again one a second"},
}

func (s *shell) l7Models() *cli.Command {
	return &cli.Command{
		Name:  "models",
		Usage: "explain the process models side by side, and what the running proxy shows of its own",
		Description: `A node's 'l7: MODEL' in a scenario chooses one (docs/scenario.md); 'lbctl up' changes it
while the lab is up. Memory is read from /proc: RSS counts pages that processes share once
for each, PSS divides them, so that PSS adds up. docs/l7-models.md has more.`,
		Flags: []cli.Flag{outputFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c); err != nil {
				return err
			}
			explained := struct {
				Models []modelTexts `json:"models"`
				Here   []modelHere  `json:"here"` // empty: no proxy runs
				Trials []trial      `json:"trials"`
			}{models, []modelHere{}, trials}
			l, planes, err := s.l7Planes(c, "")
			switch code := exitCode(c.Context, err); {
			case err == nil:
				explained.Here = modelsHere(planes)
			case c.IsSet("lab") || c.IsSet("socket") || code != exitNotFound && code != exitUsage:
				return err
			}
			return s.print(c, explained, func(t *tableWriter) {
				modelTable(t)
				t.line("")
				if l == nil {
					t.line("%v; with a lab up this shows what its own proxy takes.", err)
				}
				for _, h := range explained.Here {
					h.table(t, l)
				}
				trialTable(t)
			})
		},
	}
}

func modelTable(t *tableWriter) {
	rows := []struct {
		title string
		of    func(modelTexts) string
	}{
		{"like", func(m modelTexts) string { return m.Like }},
		{"processes", func(m modelTexts) string { return m.Processes }},
		{"a connection holds", func(m modelTexts) string { return m.Holds }},
		{"an idle one holds", func(m modelTexts) string { return m.Idle }},
		{"a crash costs", func(m modelTexts) string { return m.Crash }},
		{"under load it adds", func(m modelTexts) string { return m.Grows }},
	}
	titles := []any{""}
	for _, m := range models {
		titles = append(titles, cell{string(m.Model), bold})
	}
	t.row(titles...)
	for _, r := range rows {
		cells := []any{cell{r.title, dim}}
		for _, m := range models {
			cells = append(cells, r.of(m))
		}
		t.row(cells...)
	}
}

func trialTable(t *tableWriter) {
	t.line("")
	t.rows = append(t.rows, []cell{{"what to try, and what to expect", bold}})
	for _, trial := range trials {
		t.line("  %s", trial.Try)
		for _, line := range wrapped(trial.Expect, 90) {
			t.rows = append(t.rows, []cell{{"      " + line, dim}})
		}
	}
}

// wrapped breaks a text into lines of at most so many bytes, between words.
func wrapped(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}

// modelHere is what the model of a running proxy takes.
type modelHere struct {
	Node    string          `json:"node,omitempty"`
	Shape   lb.Shape        `json:"shape"`
	Loop    string          `json:"loop,omitempty"`
	Totals  boardTotals     `json:"totals"`
	Master  processMemory   `json:"master"`
	Workers []processMemory `json:"workers"`
	Memory  memory          `json:"memory"`                   // of the workers
	Each    uint64          `json:"per_process,omitempty"`    // PSS
	PerConn uint64          `json:"per_connection,omitempty"` // PSS of the workers by connections now; absent if there is none
	Error   string          `json:"error,omitempty"`
	of      ctl.PlaneWorkers
}

func modelsHere(planes []ctl.PlaneWorkers) (all []modelHere) {
	for _, b := range boardsOf(planes) {
		h := modelHere{Node: b.Node, Shape: b.Shape, Loop: b.Loop, Totals: b.Totals, Error: b.Error, of: b.PlaneWorkers}
		h.Master = memoryOf(b.Master)
		for _, p := range b.Processes {
			m := memoryOf(p.PID)
			h.Workers = append(h.Workers, m)
			h.Memory.RSS += m.RSS
			h.Memory.PSS += m.PSS
		}
		if n := len(h.Workers); n > 0 {
			h.Each = h.Memory.PSS / uint64(n)
		}
		if n := h.Totals.Connections; n > 0 {
			h.PerConn = h.Memory.PSS / uint64(n)
		}
		all = append(all, h)
	}
	return all
}

const fewMemories = 8

func (h modelHere) table(t *tableWriter, l *session) {
	where := l.title()
	if h.Node != "" {
		where += " on " + h.Node
	}
	t.rows = append(t.rows, []cell{{fmt.Sprintf("%s here: %s", where, modelText(h.Shape, h.Loop)), bold}})
	if h.Error != "" {
		t.line("%s", h.Error)
		return
	}
	t.line("%s of %s now; %s", count(h.Totals.Processes, "process"), count(h.Totals.Threads, "thread"), connectionsText(h.Shape, h.Totals))
	each := fmt.Sprintf("workers take %s (PSS), %s each", bytesText(h.Memory.PSS), bytesText(h.Each))
	if h.PerConn > 0 {
		each += fmt.Sprintf(", %s for each connection now", bytesText(h.PerConn))
	}
	t.line("%s", each)
	t.head("PROCESS", "PID", "RSS", "PSS", "CONNS")
	t.row("master", h.Master.PID, bytesText(h.Master.RSS), bytesText(h.Master.PSS), "")
	for i, m := range h.Workers {
		if i == fewMemories {
			t.line("and %d more; -o json lists them", len(h.Workers)-i)
			break
		}
		t.row("worker", m.PID, bytesText(m.RSS), bytesText(m.PSS), h.of.Processes[i].Connections)
	}
}
