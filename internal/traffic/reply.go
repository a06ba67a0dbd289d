package traffic

import "lbctl/internal/http1"

// maxHead is how long the heads may be that generator and servers read.
const maxHead = 32 << 10

var limits = http1.Limits{Line: maxHead, Head: maxHead, Fields: 256}

// reply reads the answer to a GET as it comes, in whatever pieces, and copies
// none of it but a head that was cut.
type reply struct {
	servers *tally

	parser http1.Parser
	body   http1.Body
	held   []byte // of a head that is not there whole
	headed bool   // the final head was read, and what follows is of that answer:
	keep   bool   // the server keeps the connection
	status int
	server *served
}

// begin forgets the last answer.
func (r *reply) begin() {
	r.headed = false
	r.held = r.held[:0]
	r.parser.Reset()
}

// read takes what has come. When the answer is whole it says so and returns what
// came behind it. head is scratch, which several replies may share.
func (r *reply) read(b []byte, head *http1.Response) (rest []byte, whole bool, err *http1.Error) {
	for !r.headed {
		if b, err = r.readHead(b, head); b == nil || err != nil {
			return nil, false, err
		}
	}
	for {
		_, n, done, err := r.body.Next(b)
		if err != nil {
			return nil, false, err.ForResponse()
		}
		if b = b[n:]; done || len(b) == 0 {
			return b, done, nil
		}
	}
}

// readHead returns what follows the head, nil if that is not whole.
func (r *reply) readHead(b []byte, head *http1.Response) ([]byte, *http1.Error) {
	cut := len(r.held) > 0
	if cut {
		r.held = append(r.held, b...)
		b = r.held
	}
	r.parser.Limits = &limits
	n, err := r.parser.Response(b, http1.GET, head)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		if !cut {
			r.held = append(r.held, b...)
		}
		return nil, nil
	}
	r.held = r.held[:0] // b may still point there: it is read before more is added
	if head.Status >= 200 {
		r.headed, r.keep, r.status = true, head.KeepAlive, head.Status
		r.server = r.servers.of(head.Fields)
		r.body.Start(head.Body, head.Length)
	}
	return b[n:], nil
}

// end says that the server has closed, and reports whether the answer is whole
// with that.
func (r *reply) end() bool { return r.headed && r.body.EOF() == nil }

// tally counts answers by the server that gave them.
type tally struct {
	by   map[string]*served
	last *served // who answered last, and will often answer next
}

type served struct {
	name    string
	answers uint64
}

// of returns the count of the server that X-Server names, "" if none is.
func (t *tally) of(fields []http1.Field) *served {
	var name []byte
	for i := range fields {
		if f := &fields[i]; f.ID == http1.NameOther && isXServer(f.Name) {
			name = f.Value
		}
	}
	if t.last != nil && string(name) == t.last.name {
		return t.last
	}
	s := t.by[string(name)]
	if s == nil {
		s = &served{name: string(name)}
		t.by[s.name] = s
	}
	t.last = s
	return s
}

func isXServer(name []byte) bool {
	const lower = "x-server"
	if len(name) != len(lower) {
		return false
	}
	for i, c := range name {
		if c|0x20 != lower[i] {
			return false
		}
	}
	return true
}
