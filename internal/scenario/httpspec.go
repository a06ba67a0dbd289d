package scenario

import "math"

// LimitsSpec bounds heads, as typed.
type LimitsSpec struct {
	Pos    Pos
	Line   Val[HeadBytes]  `yaml:"line" default:"8192" doc:"Bytes of the first line; beyond: 414."`
	Head   Val[HeadBytes]  `yaml:"head" default:"65536" doc:"Bytes of a head, with its first line; beyond: 431."`
	Fields Val[HeadFields] `yaml:"fields" default:"256" doc:"Fields of a head; beyond: 431."`
}

// QueueSpec is where requests wait for a backend below its max_conn, as typed.
type QueueSpec struct {
	Pos     Pos
	Length  Val[QueueLength] `yaml:"length" default:"1024" short:"true" doc:"Requests that may wait, in all workers together; beyond: 503."`
	Timeout Val[Duration]    `yaml:"timeout" default:"(connect_timeout)" doc:"Longest wait; then: 503."`
}

// ForwardingSpec is what backends are told, as typed.
type ForwardingSpec struct {
	Pos       Pos
	For       Val[FieldWord] `yaml:"x_forwarded_for" default:"append" doc:"The client's address: append (after what the client sent), replace, off (what the client sent stays as it is)."`
	Proto     Val[FieldWord] `yaml:"x_forwarded_proto" default:"replace" doc:"Likewise: http."`
	Host      Val[FieldWord] `yaml:"x_forwarded_host" default:"replace" doc:"Likewise: the client's Host."`
	Forwarded Val[FieldWord] `yaml:"forwarded" default:"off" doc:"Likewise, all of it by RFC 7239."`
	Via       Val[Bool]      `yaml:"via" default:"true" doc:"Name the proxy in Via, in requests and answers."`
	RequestID Val[Bool]      `yaml:"request_id" default:"false" doc:"X-Request-ID: the client's if that is one word of at most 128 characters, else 128 random bits."`
	HostSent  Val[HostWord]  `yaml:"host" default:"client" doc:"Host: the one that the client sent, or the address of the backend."`
}

// StickySpec is a cookie by which clients stick to backends, as typed.
type StickySpec struct {
	Pos      Pos
	Cookie   Val[HeaderName]   `yaml:"cookie" required:"true" short:"true" doc:"Name of the cookie."`
	Path     Val[CookiePath]   `yaml:"path" default:"/" doc:"Path attribute."`
	TTL      Val[Pause]        `yaml:"ttl" default:"0s" doc:"Max-Age attribute; 0s: until the browser ends."`
	Secure   Val[Bool]         `yaml:"secure" default:"false" doc:"Secure attribute."`
	HTTPOnly Val[Bool]         `yaml:"http_only" default:"true" doc:"HttpOnly attribute."`
	SameSite Val[SameSiteWord] `yaml:"same_site" default:"lax" doc:"SameSite attribute; unset: none is sent; none needs secure."`
	Key      Val[StickyKey]    `yaml:"key" default:"(random, kept with the lab's state)" doc:"Key of the MAC in the cookies, the same wherever they are to be good."`
}

// HashSpec is what policy hash looks at, as typed.
type HashSpec struct {
	Pos   Pos
	By    Val[HashWord]   `yaml:"by" required:"true" short:"true" doc:"Part of a request: path (without the query), query, header, cookie."`
	Name  Val[HeaderName] `yaml:"name" default:"(the whole query)" doc:"Name of the header, the cookie or the query's parameter."`
	Bound Val[Bound]      `yaml:"bound" default:"0" doc:"Percent of its share that a backend may have in flight before requests go on to the next, from 100; 0: no bound."`
}

// OutlierSpec is when backends are ejected for how they answer, as typed.
type OutlierSpec struct {
	Pos      Pos
	Failures Val[Count]    `yaml:"failures" default:"5" doc:"Failures in a row (5xx, no answer) that eject; 0: none do."`
	Rate     Val[Percent]  `yaml:"rate" default:"50" doc:"Percent of a window's requests that eject if they fail; 0: none do."`
	Requests Val[Count]    `yaml:"requests" default:"100" doc:"Requests that a window must have for rate to count."`
	Window   Val[Duration] `yaml:"window" default:"10s" doc:"Window of rate."`
	Base     Val[Duration] `yaml:"base" default:"10s" doc:"How long the first ejection lasts; the second lasts twice as long, and so on."`
	Max      Val[Duration] `yaml:"max" default:"5m" doc:"The longest ejection."`
	MaxShare Val[Percent]  `yaml:"max_share" default:"50" doc:"Percent of the backends that may be ejected at once; one always stays."`
}

// BudgetSpec limits retries, as typed.
type BudgetSpec struct {
	Pos       Pos
	Percent   Val[Percent] `yaml:"percent" default:"20" doc:"Retries per 100 requests."`
	PerSecond Val[Count]   `yaml:"per_second" default:"10" doc:"And so many more each second."`
}

// Words and numbers of http.
type (
	HeadBytes    = Int[headBounds]
	HeadFields   = Int[fieldBounds]
	QueueLength  = Int[queueBounds]
	Bound        = Int[boundBounds]
	Count        = Int[countBounds]
	Percent      = Int[percentBounds]
	InFlight     = Int[inFlightBounds]
	FieldWord    = Enum[fieldWords]
	HostWord     = Enum[hostWords]
	SameSiteWord = Enum[sameSites]
	HashWord     = Enum[hashWords]
	CookiePath   = Text[cookiePathForm]
	StickyKey    = Text[stickyKeyForm]
)

type (
	headBounds     struct{}
	fieldBounds    struct{}
	queueBounds    struct{}
	boundBounds    struct{}
	countBounds    struct{}
	percentBounds  struct{}
	inFlightBounds struct{}
	fieldWords     struct{}
	hostWords      struct{}
	sameSites      struct{}
	hashWords      struct{}
	cookiePathForm struct{}
	stickyKeyForm  struct{}
)

func (headBounds) bounds() (string, int64, int64)    { return "a number of bytes", 256, 1 << 20 }
func (fieldBounds) bounds() (string, int64, int64)   { return "a number of fields", 1, 10_000 }
func (queueBounds) bounds() (string, int64, int64)   { return "a number of requests", 0, 1_000_000 }
func (boundBounds) bounds() (string, int64, int64)   { return "percent", 0, 100_000 }
func (countBounds) bounds() (string, int64, int64)   { return "a number", 0, 65_535 }
func (percentBounds) bounds() (string, int64, int64) { return "percent", 0, 100 }
func (inFlightBounds) bounds() (string, int64, int64) {
	return "a number of requests", 0, math.MaxInt32
}

func (fieldWords) words() []string { return []string{"append", "replace", "off"} }
func (hostWords) words() []string  { return []string{"client", "backend"} }
func (sameSites) words() []string  { return []string{"lax", "strict", "none", "unset"} }
func (hashWords) words() []string  { return []string{"path", "query", "header", "cookie"} }

func (cookiePathForm) form() (string, string) {
	return `a path such as "/"`, `^/[!-:<-~]{0,999}$` // RFC 6265, path-value
}

func (stickyKeyForm) form() (string, string) {
	return `a key of 16 to 128 visible characters`, `^[!-~]{16,128}$`
}
