package ipvsadm

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The files in testdata were recorded from ipvsadm 1.31 over IPVS of Linux 6.1:
// "$ " a command line, "> " what it printed, "! " what it complained, "= " its
// exit code. Played over a Table, each must give the same bytes.
func TestEveryRecordedCommandLineGivesTheSameBytes(t *testing.T) {
	total := 0
	for _, name := range []string{"grammar", "errors", "services", "edit", "timeout", "connections"} {
		t.Run(name, func(t *testing.T) {
			table := newTable()
			for _, b := range readBlocks(t, filepath.Join("testdata", name+".txt")) {
				if !strings.Contains(b.command, "ipvsadm") { // traffic: what it leaves is learnt from the listings
					continue
				}
				if strings.Contains(b.command, "--start-daemon") && b.errOut == notUnicast {
					continue // only a kernel with a synchronisation daemon can miss the interface
				}
				total++
				out, errOut, code := b.play(t, table)
				if out != b.out || errOut != b.errOut || code != b.code {
					t.Errorf("line %d: %s\ngot exit %d:\n%s%s\nwant exit %d:\n%s%s", b.line, b.command, code, out, errOut, b.code, b.out, b.errOut)
				}
			}
		})
	}
	if total < 600 {
		t.Errorf("%d command lines were compared, want at least 600", total)
	}
}

const notUnicast = "Invalid operation.  Possibly wrong module version, address not unicast, ...\n"

func newTable() *Table { return &Table{Size: 4096, Timeouts: Timeouts{900, 120, 300}} }

// The names that the recordings were made with.
var testNames = func() Names {
	ports, err := ReadPorts(strings.NewReader(`
ssh 22/tcp
domain 53/tcp
domain 53/udp
finger 79/tcp
http 80/tcp www	# WorldWideWeb
iso-tsap 102/tcp tsap
poppassd 106/tcp
pop3 110/tcp pop-3
sunrpc 111/tcp portmapper
https 443/tcp
sip 5060/tcp
sip 5060/udp
mdns 5353/udp
http-alt 8080/tcp webcache
`))
	if err != nil {
		panic(err)
	}
	return Names{Hosts: hosts{
		{"localhost", "127.0.0.1"},
		{"vip.example.test", "10.0.0.1"},
		{"vip", "10.0.0.1"},
		{"a-rather-long-name-of-a-real-server.example.test", "10.0.0.2"},
		{"s3.example.test", "10.0.0.3"},
		{"an-even-longer-name-of-a-real-server-of-some.example.test", "192.168.100.201"},
		{"vip6.example.test", "fd00::1"},
		{"s3v6.example.test", "fd00::3"},
		{"www.example.test", "10.1.0.1"},
		{"www", "10.1.0.1"},
		{"s1.example.test", "10.2.0.1"},
		{"a-rather-long-name-of-a-real-server.example.test", "10.2.0.2"},
		{"www6.example.test", "fd00:1::1"},
		{"s1v6.example.test", "fd00:2::1"},
	}, Ports: ports}
}()

type hosts []struct{ name, addr string }

func (h hosts) Addr(name string) (netip.Addr, bool) {
	for _, e := range h {
		if e.name == name {
			return netip.MustParseAddr(e.addr), true
		}
	}
	return netip.Addr{}, false
}

func (h hosts) Name(addr netip.Addr) (string, bool) {
	for _, e := range h {
		if e.addr == addr.String() {
			return e.name, true
		}
	}
	return "", false
}

type block struct {
	line                 int
	command, out, errOut string
	code                 int
}

func readBlocks(t *testing.T, path string) (blocks []block) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b block
	for i, line := range strings.Split(string(data), "\n") {
		kind, text, _ := strings.Cut(line, " ")
		switch kind {
		case "$", "$~":
			b = block{line: i + 1, command: text}
		case ">":
			b.out += text + "\n"
		case "!":
			b.errOut += text + "\n"
		case "=":
			if b.code, err = strconv.Atoi(text); err != nil {
				t.Fatalf("%s:%d: %v", path, i+1, err)
			}
			blocks = append(blocks, b)
		}
	}
	return blocks
}

// play does what a shell would, for the few forms of it that are recorded.
func (b block) play(t *testing.T, table *Table) (out, errOut string, code int) {
	t.Helper()
	pipe := splitWords(b.command)
	input := ""
	if pipe[0] == "printf" {
		for i, word := range pipe {
			if word == "|" {
				input, pipe = printf(pipe[1:i]), pipe[i+1:]
				break
			}
		}
	}
	if len(pipe) > 1 && pipe[len(pipe)-2] == "<" || strings.HasPrefix(pipe[len(pipe)-1], "<") {
		pipe = pipe[:len(pipe)-1]
	}
	switch pipe[0] { // the shell scripts of these names
	case "ipvsadm-restore":
		table.Services = nil
		pipe = []string{"ipvsadm", "-R"}
	case "ipvsadm-save":
		pipe = append([]string{"ipvsadm", "-S"}, pipe[1:]...)
	}
	var o, e bytes.Buffer
	call := Call{Program: pipe[0], Args: pipe[1:], Names: testNames, In: strings.NewReader(input), Out: &o, Err: &e}
	code = call.Run(&kernel{Table: table, learn: b.out})
	return o.String(), e.String(), code
}

// kernel is a Table that learns what only traffic can tell from the listing
// that it is to print.
type kernel struct {
	*Table
	learn string
}

func (k *kernel) Commit() error { return nil }

func (k *kernel) List(w io.Writer, c Command) error {
	k.learnCounters(c)
	return k.Table.List(w, c, testNames)
}

func (k *kernel) learnCounters(c Command) {
	p := parser{names: testNames}
	lines := strings.Split(k.learn, "\n")
	if c.Options.Has(OptConnections) {
		var conns []Conn
		for _, line := range lines[min(2, len(lines)):] {
			if f := strings.Fields(line); len(f) >= 6 {
				proto := map[string]Proto{"TCP": TCP, "UDP": UDP}[f[0]]
				minutes, seconds := 0, 0
				fmt.Sscanf(f[1], "%d:%d", &minutes, &seconds)
				conn := Conn{Proto: proto, Expires: uint32(60*minutes + seconds), State: f[2]}
				for i, into := range []*netip.AddrPort{&conn.Client, &conn.Virtual, &conn.Dest} {
					a := p.named(f[3+i], proto)
					*into = netip.AddrPortFrom(a.addr, a.port)
				}
				conns = append(conns, conn)
			}
		}
		k.Conns = func(yield func(Conn, error) bool) {
			for _, c := range conns {
				if !yield(c, nil) {
					return
				}
			}
		}
		return
	}
	var s *Service
	for _, line := range lines {
		f := strings.Fields(strings.TrimPrefix(line, "  -> "))
		if strings.HasPrefix(line, "  -> ") && s != nil {
			for i := range s.Dests {
				d := &s.Dests[i]
				if cut(testNames.text(d.Addr, s.protocol(), c.Options.Has(OptNumeric)), 28) == f[0] || strings.HasPrefix(f[0], "[") && testNames.text(d.Addr, s.protocol(), c.Options.Has(OptNumeric)) == f[0] {
					d.learn(c, f[1:])
				}
			}
			continue
		}
		for i := range k.Services {
			pr := printer{names: testNames, options: c.Options}
			if name := pr.serviceName(k.Services[i]); strings.HasPrefix(line, name+" ") {
				s = &k.Services[i]
				if c.Options.Has(OptStats, OptRate) {
					s.Stats.learn(c, strings.Fields(line[len(name):]))
				}
			}
		}
	}
}

// named reads what -L printed, where names of IPv6 addresses stand in brackets.
func (p *parser) named(text string, proto Proto) address {
	if strings.HasPrefix(text, "[") {
		host, port, _ := strings.Cut(text[1:], "]:")
		if addr, ok := testNames.Hosts.Addr(host); ok {
			text = "[" + addr.String() + "]:" + port
		}
	}
	return p.address(text, proto)
}

func (d *Dest) learn(c Command, f []string) {
	if c.Options.Has(OptStats, OptRate) {
		d.Stats.learn(c, f)
		return
	}
	n := make([]uint32, len(f))
	for i := range f {
		v, _ := strconv.ParseUint(f[i], 10, 32)
		n[i] = uint32(v)
	}
	if c.Options.Has(OptPersistentConn) && !c.Options.Has(OptThresholds) {
		d.Persistent = n[len(n)-3]
	}
	d.Active, d.Inactive = n[len(n)-2], n[len(n)-1]
}

func (s *Stats) learn(c Command, f []string) {
	n := make([]uint64, len(f))
	for i, text := range f {
		unit := uint64(1)
		for _, u := range []struct {
			suffix string
			unit   uint64
		}{{"K", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}} {
			if digits, ok := strings.CutSuffix(text, u.suffix); ok {
				text, unit = digits, u.unit
			}
		}
		v, _ := strconv.ParseUint(text, 10, 64)
		n[i] = v * unit
	}
	if c.Options.Has(OptStats) {
		s.Conns, s.InPkts, s.OutPkts, s.InBytes, s.OutBytes = n[0], n[1], n[2], n[3], n[4]
		return
	}
	s.CPS, s.InPPS, s.OutPPS, s.InBPS, s.OutBPS = n[0], n[1], n[2], n[3], n[4]
}

// splitWords splits as a shell does, quotes included.
func splitWords(line string) (words []string) {
	var word strings.Builder
	quote, inWord := byte(0), false
	for i := range len(line) {
		switch ch := line[i]; {
		case quote != 0 && ch == quote:
			quote = 0
		case quote == 0 && (ch == '\'' || ch == '"'):
			quote, inWord = ch, true
		case quote == 0 && ch == ' ':
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteByte(ch)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words
}

// printf is the shell's, for "%s\n" with arguments and for text with escapes.
func printf(args []string) string {
	if args[0] == "--" {
		args = args[1:]
	}
	text := strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\t`, "\t").Replace(args[0])
	if !strings.Contains(text, "%s") {
		return text
	}
	var b strings.Builder
	for _, a := range args[1:] {
		b.WriteString(strings.ReplaceAll(text, "%s", a))
	}
	return b.String()
}
