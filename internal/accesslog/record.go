package accesslog

import (
	"net/netip"
	"time"
)

// Record is what is known of one exchange when it is over. Its slices are valid
// until Log returns.
type Record struct {
	Client       netip.AddrPort
	ClientReused bool   // the connection has carried a request before
	Line         []byte // what came instead of a request line; nil: there is a request, see the next three
	Method       []byte
	Target       []byte
	Minor        uint8 // of HTTP/1.Minor
	Host         []byte
	Referer      []byte
	Agent        []byte

	Service       string
	Route         int    // its number in the service that the client connected to, from 1 on; 0: none matched
	Backend       string // of the last attempt; empty: there was none
	Address       netip.AddrPort
	BackendReused bool // the last attempt went over a connection that was kept
	Attempts      int
	Why           Why // this backend

	Status int    // that the client was told; ClientClosed or Unanswered if it was told none
	End    End    // how it ended
	Reason string // in words, of an answer that the proxy made up; else empty

	HeadIn, BodyIn   uint64 // bytes from the client
	HeadOut, BodyOut uint64 // bytes for the client, interim heads among HeadOut

	Queue   time.Duration // from the request's head to the first attempt; this and the next two are None if they did not come about
	Connect time.Duration // of the last attempt, over a new connection
	Head    time.Duration // from the beginning of the last attempt to the head of its answer
	Whole   time.Duration // from the request's head to the end
}

// None is a time that did not pass.
const None time.Duration = -1

// What stands for the status of a request whose client was told none. nginx has made
// these numbers known.
const (
	ClientClosed = 499 // it left before
	Unanswered   = 444 // its connection was reset by the proxy
)

// Why says what chose the backend.
type Why uint8

// What may choose a backend.
const (
	NoBackend Why = iota // none was chosen
	ByPolicy
	OnlyOne // no other could be chosen
	Backup  // all that are no backups could not be chosen
	Retried // another one has failed
	Cookie  // the client's, for it is a sticky one
	Bound   // the one that the policy's hash says had its share of the requests in flight (HashKey.Bound)
)

var whyWords = [...]string{"none", "policy", "only", "backup", "retry", "cookie", "bound"}

func (w Why) String() string { return whyWords[w] }

// End is how an exchange ended.
type End uint8

// The ends.
const (
	Complete       End = iota // the client has the answer of a backend
	Local                     // it has one that the proxy gave by itself, for a route says so, or Max-Forwards that the request ends here
	ClientGone                // it left
	ClientTimeout             // it sent or took nothing for too long
	BadRequest                // what it sent is no request that this proxy takes
	Unavailable               // no backend could be chosen
	ConnectFailed             // no connection could be made
	ConnectTimeout            // likewise, in time
	HeadTimeout               // no head of an answer came in time
	RequestTimeout            // the request as a whole took too long
	BackendTimeout            // no more of an answer's body
	BackendBroke              // its connection ended early, or what it said is no answer
	TunnelTimeout             // neither side said anything
	Removed                   // the proxy cut it off: its service has gone, or its time to finish is over
	numEnds
)

var endWords = [numEnds]string{
	"complete", "local", "client_gone", "client_timeout", "bad_request", "unavailable", "connect_failed", "connect_timeout",
	"head_timeout", "request_timeout", "backend_timeout", "backend_broke", "tunnel_timeout", "removed",
}

func (e End) String() string { return endWords[e] }
