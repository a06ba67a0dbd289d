package l4

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// situation is a line of the specification of the plane: what happened before,
// what comes in, and what becomes of it. It holds for each way of forwarding,
// family and protocol that of names; the expected packets are built by gopacket.
type situation struct {
	name     string // a packet, in words
	of       cells  // nil: every way and kind
	before   []event
	in       frame
	verdict  string
	out      frame // nil: it comes out as it went in
	redirect bool  // it leaves by another interface than it came in by
	vary     int   // so many packets that differ in what checksums cover, instead of one
}

// section is a chapter of the specification.
type section struct {
	title string
	lines []situation
}

// specification is what the plane promises. A new verdict is one more situation
// in one of these lists, or in another; the test says where it has none yet. A new
// way of forwarding is an entry of forwardings() that tells what its packets look
// like, and all situations are tried by it; impossible says what cannot be met.
var specification = []section{
	{"How a packet gets to its backend", deliveries},
	{"What is left to the stack", passedOn},
	{"What no sane sender sends", malformed},
	{"Flows and their backends", begun},
	{"Backends that may not go on", orphaned},
	{"Replies", answered},
	{"SYN limits and cookies", guarded},
	{"What does not fit", oversized},
	{"ICMP errors", errorsAbout},
}

// scene is a situation for one way of forwarding, family and protocol.
type scene struct {
	*rig
	by     forwarding
	k      kind
	n      int         // which of the packets that vary
	s      lb.Snapshot // as applied last
	set    bool        // nothing has happened yet
	cookie uint32      // as sent last
}

// send notes the cookie that the answer bears.
func (x *scene) send(packet []byte) result {
	x.Helper()
	got := x.rig.send(packet)
	if got.verdict == "COOKIE_SENT" {
		x.cookie = binary.BigEndian.Uint32(got.out[transport.in(x.k)+4:])
	}
	return got
}

// cells are the ways and kinds that a situation is about.
type cells func(forwarding, kind) bool

// event is something that happens before the packet comes in.
type event struct {
	text func(x *scene) string
	do   func(x *scene)
}

// frame is a packet in a situation.
type frame interface {
	bytes(x *scene) []byte
	text(x *scene) string
}

// comes is a packet that came before.
func comes(f frame) event {
	return event{f.text, func(x *scene) { x.cuts = true; x.send(f.bytes(x)) }}
}

// changes is a new snapshot, in which the service under test is another.
func changes(text string, change func(*lb.Service)) event {
	return reconfigures(text, func(s *lb.Snapshot) { change(&s.Services[0]) })
}

func reconfigures(text string, change func(*lb.Snapshot)) event {
	return event{saying(text), func(x *scene) {
		x.s.Services = slices.Clone(x.s.Services)
		x.s.Services[0].Backends = slices.Clone(x.s.Services[0].Backends)
		change(&x.s)
		x.s.Revision = revision.Add(1)
		x.apply(x.s)
	}}
}

// happens is what a snapshot does not say.
func happens(text string, do func(x *scene)) event { return event{saying(text), do} }

func saying(text string) func(*scene) string { return func(*scene) string { return text } }

// goes changes backend i, which comes by that.
func goes(text string, i int, change func(*lb.Backend)) event {
	return changes(fmt.Sprintf("s%d %s", i, text), func(v *lb.Service) {
		for j := range v.Backends {
			if v.Backends[j].ID == lb.BackendID(i) {
				change(&v.Backends[j])
			}
		}
	})
}

// idle lets time pass without a packet.
func idle(d time.Duration) event {
	return happens("no packet for "+d.String(), func(x *scene) { x.age(d) })
}

// row is a situation in one cell.
type row struct {
	line *situation
	k    kind
}

// outcome is what a row says, and whether it could be tried at this hook.
type outcome struct {
	text  string
	tried bool
}

// Every situation, by each way of forwarding, family and protocol: the verdict,
// the action and each byte. docs/l4-packets.md is the table of it.
func TestSpecification(t *testing.T) {
	ways := forwardings()
	outcomes := make([]map[row]outcome, len(ways))
	t.Run("by", func(t *testing.T) {
		for i, by := range ways {
			t.Run(by.name, func(t *testing.T) {
				t.Parallel()
				outcomes[i] = tryAll(t, by)
			})
		}
	})
	if t.Failed() {
		return
	}
	met, text, rows := coverage{}, newTable(), 0
	for _, s := range specification {
		text.begin(s.title)
		for i := range s.lines {
			for n, by := range ways {
				for _, k := range kinds {
					o, is := outcomes[n][row{&s.lines[i], k}]
					if is {
						text.add(o.text, by, k)
					}
					if o.tried {
						met.add(s.lines[i].verdict, by, k)
						rows++
					}
				}
			}
			if i+1 == len(s.lines) || s.lines[i+1].name != s.lines[i].name {
				text.end()
			}
		}
	}
	t.Logf("%d lines of the table, %d rows tried", text.lines, rows)
	met.check(t)
	text.check(t, "../docs/l4-packets.md")
}

// tryAll tries all situations by one way of forwarding.
func tryAll(t *testing.T, by forwarding) map[row]outcome {
	r := newRig(t)
	r.options.MaxFlows = 1 << 10
	r.empty()
	out := map[row]outcome{}
	for _, k := range kinds {
		x := &scene{rig: r, by: by, k: k}
		for _, s := range specification {
			for i := range s.lines {
				line := &s.lines[i]
				if line.of == nil || line.of(by, k) {
					out[row{line, k}] = outcome{tried: x.try(line), text: x.tell(line)}
				}
			}
		}
	}
	return out
}

// try fails if the line does not hold. It reports whether it could be tried.
func (x *scene) try(line *situation) bool {
	x.Helper()
	x.stage()
	if cannotRun(line.in.bytes(x)) {
		return false
	}
	for _, e := range line.before {
		e.do(x)
	}
	want, action := line.in.bytes, x.actionOf(line.verdict)
	x.set = x.set && len(line.before) == 0 && (action == xdpPass || action == xdpDrop)
	if line.out != nil {
		want = line.out.bytes
	}
	if line.redirect {
		action = xdpRedirect
	}
	more := len(want(x)) - len(line.in.bytes(x))
	x.cuts = more != 0 && more != 1500-x.by.room // otherwise than by a tunnel's headers
	_, odd := line.in.(damaged)
	for x.n = range max(line.vary, 1) {
		in := line.in.bytes(x)
		got := x.send(bytes.Clone(in))
		if want := want(x); got.action != action || got.verdict != line.verdict || !bytes.Equal(got.out, want) {
			x.Errorf("%s, %s: action %d, %s, want %d, %s\n  in %x\n got %x\nwant %x",
				line.name, x.k, got.action, got.verdict, action, line.verdict, in, got.out, want)
			break
		}
		if !odd && line.out != nil {
			checkSums(x, got.out)
		}
	}
	x.n = 0
	if x.set && x.entries() != 0 {
		x.Errorf("%s, %s: a flow is remembered of a packet that was not forwarded", line.name, x.k)
	}
	return true
}

// stage makes a scene as if nothing had been before.
func (x *scene) stage() {
	x.Helper()
	x.n = 0
	if x.set {
		return
	}
	x.allow()
	x.forget()
	x.s = x.by.snapshot(x.k, backends(2)...)
	x.s.Services[0].Name = fmt.Sprint("web ", x.s.Revision) // a new service, which takes turns from the first on
	x.s.Services[0].L4.TOA = false                          // TestTOA has it
	none := x.s.Services[0]
	none.Name, none.VIP.Addr, none.Backends = "none", withPort(x.k.vip(), nonePort), nil
	x.s.Services = append(x.s.Services, none)
	x.apply(x.s)
	x.set = true
}

// actionOf is what the verdict's own sentence says.
func (x *scene) actionOf(verdict string) uint32 {
	x.Helper()
	names, err := words()
	ok(x, err)
	for _, v := range names {
		how, _, _ := strings.Cut(v.Text, ":")
		action, is := map[string]uint32{"passed": xdpPass, "dropped": xdpDrop, "forwarded": xdpTx, "answered": xdpTx}[how]
		if v.Name == verdict && is {
			return action
		}
	}
	x.Fatalf("no verdict %q", verdict)
	return 0
}
