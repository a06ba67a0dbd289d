package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// WriteTable prints the report for a terminal of 120 columns.
func (r *Report) WriteTable(w io.Writer, color bool) error {
	p := &printer{w: w, color: color}
	p.line(bold, "%s", r.Name)
	r.printConditions(p)
	if r.Incomplete != "" {
		p.wrapped(yellow, "! ", "incomplete: "+r.Incomplete)
	}
	for i := range r.Workloads {
		p.line(plain, "")
		r.Workloads[i].print(p)
	}
	p.line(plain, "")
	p.wrapped(dim, "", reading)
	return p.err
}

// reading is how to read the table, in the order of its columns.
const reading = "How to read this: requests/s is the median over runs, then lowest … highest; latencies are those of all answers together. CPU is what the " +
	"whole machine spent per request, whoever spent it; over direct is what the balancer adds to that, each run set against the direct run of the same " +
	"half round. Such pairs give the ratios too: means with 95 % intervals in brackets (bootstrap, or Student's t below 6 pairs), so they need not be the " +
	"quotient of two medians above. What the kernel does, XDP and links included, counts for the process in whose time it is done, often the sender's; " +
	"rest is nobody's of those named. Bytes are those of IP packets on l4 and of HTTP messages on l7. XDP meets every packet on the balancer's link, also " +
	"those for l7. A winner is named only outside the interval and beyond 2 %, from at least 6 pairs."

func (r *Report) printConditions(p *printer) {
	c := r.Conditions
	p.wrapped(dim, "  ", fmt.Sprintf("%s, took %v; %s of %s", r.Started.UTC().Format("2006-01-02 15:04 UTC"), r.Took.Round(1e9), plural(r.Rounds, "round"), c.Order))
	parts := []string{"linux " + c.Kernel, c.CPUModel, fmt.Sprintf("%d cores", c.Cores), fmt.Sprintf("%.1f GiB", float64(c.Memory)/(1<<30)), c.Go, "lbctl " + c.Lbctl}
	if len(c.OffloadsOff) > 0 {
		parts = append(parts, "off on every link: "+strings.Join(c.OffloadsOff, " "))
	}
	if c.BPFStats {
		parts = append(parts, "BPF run-time statistics on")
	}
	if len(c.Mitigation) > 0 {
		parts = append(parts, plural(len(c.Mitigation), "CPU mitigation"))
	}
	p.wrapped(dim, "  ", strings.Join(append(parts, c.Notes...), ", "))
}

func (w *Workload) print(p *printer) {
	p.wrapped(bold, "", w.Name+": "+w.describe())
	p.line(plain, "")
	w.results(p)
	p.line(plain, "")
	w.costs(p)
	p.line(plain, "")
	w.shares(p)
	p.line(plain, "")
	w.conclusions(p)
}

// conclusions is what to take home, and with which grain of salt.
func (w *Workload) conclusions(p *printer) {
	for _, r := range w.Ratios {
		p.wrapped(plain, "  ", fmt.Sprintf("%s / %s: requests/s %s, CPU/request %s, CPU difference %s µs/request, %s",
			r.A, r.B, bracket(r.Rate, ratio), bracket(r.CPU, ratio), bracket(r.Added, signed), plural(r.Rate.N, "pair")))
	}
	for i, v := range w.Verdicts {
		s := plain
		if w.Ratios[i].Winner != "" {
			s = green
		}
		p.wrapped(s, "  → ", v)
	}
	for _, l := range w.Limits {
		p.wrapped(yellow, "  ! ", l)
	}
}

func (w *Workload) describe() string {
	loop := "closed loop"
	if w.Rate > 0 {
		loop = fmt.Sprintf("open loop at %s requests/s (latency from when each was due)", perSecond(w.Rate))
	}
	conn := "a new connection per request"
	if w.KeepAlive {
		conn = "keep-alive"
	}
	return fmt.Sprintf("%s, %d connections, %s, GET %s, %v after %v of warm-up", loop, w.Connections, conn, w.Path, w.Duration, w.Warmup)
}

// results is the main block: speed, latency, errors and price.
func (w *Workload) results(p *printer) {
	var g grid
	g.add("", "requests/s", "lowest … highest", "p50", "p90", "p99", "p99.9", "errors", "CPU µs/req", "over direct")
	for _, a := range w.Arms {
		over := "—"
		if a.Added.N > 0 {
			over = bracket(a.Added, signed)
		}
		failed := uint64(0)
		for _, n := range a.Errors {
			failed += n
		}
		l := a.Latency
		g.add(a.Name, count(a.Rate.Median), ends(a.Rate), latency(l.P50), latency(l.P90), latency(l.P99), latency(l.P999),
			count(float64(failed)), figure(a.CPU.Machine.Median), over)
	}
	g.print(p, 1)
}

// costs is the second block: who spent the CPU, and what passed the balancer.
func (w *Workload) costs(p *printer) {
	names := map[string]bool{}
	for _, a := range w.Arms {
		for name := range a.CPU.Components {
			names[name] = true
		}
	}
	components := slices.Sorted(maps.Keys(names))
	var g grid
	g.add(append(append([]string{"CPU µs/req of"}, components...), "rest", "busy", "bytes/req in", "out", "XDP ns/packet", "packets/req")...)
	for _, a := range w.Arms {
		row := []string{a.Name}
		for _, name := range components {
			us, ok := a.CPU.Components[name]
			if !ok {
				row = append(row, "—")
				continue
			}
			row = append(row, figure(us))
		}
		row = append(row, figure(a.CPU.rest()), fmt.Sprintf("%.0f %%", 100*a.CPU.Busy))
		g.add(append(append(row, a.bytes()...), a.xdp()...)...)
	}
	g.print(p, 1)
}

func (a *Arm) bytes() []string {
	switch {
	case a.Direct || a.Bytes.In+a.Bytes.Out == 0:
		return []string{"—", "—"}
	case a.Bytes.Bypass && a.Bytes.Out == 0:
		return []string{figure(a.Bytes.InPerOp), "bypass"}
	}
	return []string{figure(a.Bytes.InPerOp), figure(a.Bytes.OutPerOp)}
}

func (a *Arm) xdp() []string {
	if a.XDP.Packets == 0 {
		return []string{"—", "—"}
	}
	return []string{figure(a.XDP.NsPerPacket), fmt.Sprintf("%.1f", a.XDP.PerRequest)}
}

// shares is the third block.
func (w *Workload) shares(p *printer) {
	p.line(dim, "  answers per backend in %% (by weight)")
	width := 0
	for _, a := range w.Arms {
		width = max(width, utf8.RuneCountInString(a.title()))
	}
	for _, a := range w.Arms {
		pad := strings.Repeat(" ", width-utf8.RuneCountInString(a.title()))
		p.wrapped(plain, "  "+a.title()+pad+"  ", a.shareText())
	}
}

// shareText names each backend, or with many only the extremes.
func (a *Arm) shareText() string {
	const many = 12
	if len(a.Shares) == 0 {
		return "none answered"
	}
	var parts []string
	least, most := a.Shares[0], a.Shares[0]
	for _, s := range a.Shares {
		if s.Got < least.Got {
			least = s
		}
		if s.Got > most.Got {
			most = s
		}
		parts = append(parts, s.text())
	}
	if len(parts) > many {
		return fmt.Sprintf("%d backends, from %s to %s", len(parts), least.text(), most.text())
	}
	return strings.Join(parts, " · ")
}

func (s Share) text() string {
	name := s.Server
	if name == "" {
		name = "unnamed"
	}
	if s.Expected == 0 {
		return fmt.Sprintf("%s %.1f", name, 100*s.Got)
	}
	return fmt.Sprintf("%s %.1f (%.1f)", name, 100*s.Got, 100*s.Expected)
}

func (a *Arm) title() string {
	if a.Direct {
		return a.Name
	}
	words := []string{string(a.Plane), string(a.Forward), string(a.Policy)}
	words = slices.DeleteFunc(words, func(s string) bool { return s == "" })
	if len(words) == 0 {
		return a.Name
	}
	return a.Name + " (" + strings.Join(words, " ") + ")"
}
