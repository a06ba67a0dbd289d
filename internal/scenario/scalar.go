package scenario

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// scalar is what the pointer to each scalar type can do.
type scalar interface {
	// parse sets the value from the text as typed. It returns errIllFormed if
	// "want …, not …" says all there is to say.
	parse(text string) error
	// want completes "want …": "a port from 1 to 65535".
	want() string
	// schema is the JSON Schema of the value. Its "type" also decides which
	// YAML types the decoder accepts.
	schema() map[string]any
}

// suggester is a scalar that can guess what an ill-formed text meant; "" if it cannot.
type suggester interface{ suggest(text string) string }

var errIllFormed = errors.New("ill-formed")

func scalarOf[T any](v *T) scalar { return any(v).(scalar) }

// Bool is true or false. YAML 1.1's yes, no, on and off are plain words in YAML 1.2.
type Bool bool

func (b *Bool) parse(text string) error {
	v, err := strconv.ParseBool(text)
	*b = Bool(v)
	if err != nil {
		return errIllFormed
	}
	return nil
}
func (b *Bool) want() string           { return "true or false" }
func (b *Bool) schema() map[string]any { return map[string]any{"type": "boolean"} }
func (b *Bool) suggest(text string) string {
	switch strings.ToLower(text) {
	case "yes", "on", "y", "1", "true":
		return "true"
	case "no", "off", "n", "0", "false":
		return "false"
	}
	return ""
}

// Int is a whole number within the bounds that B names.
type Int[B bounds] int64

type bounds interface {
	bounds() (what string, lowest, highest int64)
}

// The numbers of the language.
type (
	Port        = Int[portBounds]
	Weight      = Int[weightBounds]
	Threshold   = Int[thresholdBounds]
	Servers     = Int[serverBounds]
	Clients     = Int[clientBounds]
	Balancers   = Int[balancerBounds]
	Connections = Int[connectionBounds]
	Rounds      = Int[roundBounds]
	Results     = Int[resultBounds]
	Retries     = Int[retryBounds]
	IdleConns   = Int[idleBounds]
	MTU         = Int[mtuBounds]
	ServerID    = Int[serverIDBounds]
)

type (
	portBounds       struct{}
	weightBounds     struct{}
	thresholdBounds  struct{}
	serverBounds     struct{}
	clientBounds     struct{}
	balancerBounds   struct{}
	connectionBounds struct{}
	roundBounds      struct{}
	resultBounds     struct{}
	retryBounds      struct{}
	idleBounds       struct{}
	mtuBounds        struct{}
	serverIDBounds   struct{}
)

func (portBounds) bounds() (string, int64, int64)   { return "a port", 1, math.MaxUint16 }
func (weightBounds) bounds() (string, int64, int64) { return "a weight", 0, math.MaxInt32 }
func (thresholdBounds) bounds() (string, int64, int64) {
	return "a number of connections", 0, math.MaxInt32
}
func (serverBounds) bounds() (string, int64, int64)     { return "a number of servers", 0, 3000 }
func (clientBounds) bounds() (string, int64, int64)     { return "a number of clients", 0, 250 }
func (balancerBounds) bounds() (string, int64, int64)   { return "a number of balancers", 1, 2 }
func (connectionBounds) bounds() (string, int64, int64) { return "a number of connections", 1, 60000 }
func (roundBounds) bounds() (string, int64, int64)      { return "a number of rounds", 1, 100 }
func (resultBounds) bounds() (string, int64, int64)     { return "a number of results in a row", 1, 100 }
func (retryBounds) bounds() (string, int64, int64)      { return "a number of retries", 0, 10 }
func (idleBounds) bounds() (string, int64, int64)       { return "a number of connections", 0, 60000 }
func (serverIDBounds) bounds() (string, int64, int64)   { return "a server ID", 1, math.MaxUint16 }
func (mtuBounds) bounds() (string, int64, int64)        { return "an MTU", 1280, 9216 }

func (i *Int[B]) parse(text string) error {
	var b B
	_, lowest, highest := b.bounds()
	v, ok := decimal(text)
	if !ok || v < lowest || v > highest {
		return errIllFormed
	}
	*i = Int[B](v)
	return nil
}

func (i *Int[B]) want() string {
	var b B
	what, lowest, highest := b.bounds()
	return what + " from " + strconv.FormatInt(lowest, 10) + " to " + strconv.FormatInt(highest, 10)
}

func (i *Int[B]) schema() map[string]any {
	var b B
	_, lowest, highest := b.bounds()
	return map[string]any{"type": "integer", "minimum": lowest, "maximum": highest}
}

func (i *Int[B]) suggest(text string) string {
	plain := strings.NewReplacer("_", "", ",", "", " ", "").Replace(text)
	if plain != text && new(Int[B]).parse(plain) == nil {
		return plain
	}
	return ""
}

// decimal parses a whole number as people write it: no sign but minus, no
// leading zero that another reader takes for octal, no 0x, no underscores.
func decimal(text string) (int64, bool) {
	v, err := strconv.ParseInt(text, 10, 64)
	return v, err == nil && strconv.FormatInt(v, 10) == text
}

// Enum is one of the words that L lists.
type Enum[L lexicon] string

type lexicon interface{ words() []string }

// The closed sets of words of the language. The words are those of package lb.
type (
	PlaneWord   = Enum[planes]
	ForwardWord = Enum[forwards]
	PolicyWord  = Enum[policies]
	Scheduler   = Enum[schedulers]
	ProtoWord   = Enum[protocols]
	KindWord    = Enum[kinds]
	MethodWord  = Enum[methods]
	RoleWord    = Enum[roles]
	HookWord    = Enum[hooks]
	TunnelWord  = Enum[tunnels]
)

type (
	planes   struct{}
	forwards struct{}
	policies struct{}

	schedulers struct{} // policies of l4
	protocols  struct{}
	kinds      struct{}
	methods    struct{}
	roles      struct{}
	hooks      struct{}
	tunnels    struct{}
)

func (planes) words() []string   { return []string{"l4", "l7"} }
func (forwards) words() []string { return []string{"dr", "nat", "tun", "fullnat"} }
func (schedulers) words() []string {
	return []string{"rr", "wrr", "lc", "wlc", "sh", "mh", "sed", "nq", "fo", "ovf", "twos", "dh", "lblc", "lblcr"}
}

func (policies) words() []string {
	return append(schedulers{}.words(), "p2c", "ewma", "random", "hash", "first")
}
func (protocols) words() []string { return []string{"tcp", "udp"} }
func (kinds) words() []string     { return []string{"http", "tcp"} }
func (methods) words() []string   { return []string{"GET", "HEAD"} }
func (roles) words() []string     { return []string{"client", "balancer", "server", "router"} }
func (hooks) words() []string     { return []string{"auto", "native", "generic", "tcx"} }
func (tunnels) words() []string   { return []string{"ipip", "gue"} }

func (e *Enum[L]) parse(text string) error {
	var l L
	for _, w := range l.words() {
		if w == text {
			*e = Enum[L](text)
			return nil
		}
	}
	return errIllFormed
}

func (e *Enum[L]) want() string {
	var l L
	return oneOf(l.words())
}

// oneOf joins words: "rr, wrr or lc".
func oneOf(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func (e *Enum[L]) schema() map[string]any {
	var l L
	return map[string]any{"type": "string", "enum": l.words()}
}

func (e *Enum[L]) suggest(text string) string {
	var l L
	if meant, ok := otherNames[strings.ToLower(text)]; ok && new(Enum[L]).parse(meant) == nil {
		return meant
	}
	return nearest(text, l.words())
}

// otherNames are the words of other load balancers for ours (DESIGN.md, one word per thing).
var otherNames = map[string]string{
	"roundrobin": "rr", "round-robin": "rr", "round_robin": "rr", "leastconn": "lc", "least_conn": "lc", "leastconns": "lc", "least_connections": "lc",
	"least_request": "lc", "leastrequest": "lc", "source": "sh", "ip_hash": "sh", "iphash": "sh", "source_hash": "sh", "sourcehash": "sh", "maglev": "mh",
	"least_time": "ewma", "peak_ewma": "ewma", "power_of_two": "p2c", "uri": "hash", "ring_hash": "mh", "consistent": "mh", "weighted": "wrr", "static-rr": "wrr", "weighted_round_robin": "wrr", "weighted-round-robin": "wrr",
	"director": "balancer", "loadbalancer": "balancer", "lb": "balancer", "real-server": "server", "backend": "server", "gateway": "router", "generator": "client",
	"gatewaying": "dr", "masquerading": "nat", "masq": "nat", "tunnel": "tun", "tunnelling": "tun", "ipip": "tun", "direct": "dr", "dsr": "dr",
	"xdp": "l4", "tcp": "l4", "layer4": "l4", "http": "l7", "proxy": "l7", "layer7": "l7", "https": "http",
}
