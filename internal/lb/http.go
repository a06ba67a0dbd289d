package lb

import "time"

// HashKey is what policy hash looks at, and how far it may let a backend fill.
type HashKey struct {
	Source HashSource `json:"source"`
	Name   string     `json:"name,omitempty"`  // of the header, the cookie or the query parameter
	Bound  uint32     `json:"bound,omitempty"` // percent of its share that a backend may have in flight, from 100; 0: no bound
}

// HashSource is a part of a request.
type HashSource string

// The parts that can be hashed.
const (
	HashHeader HashSource = "header"
	HashCookie HashSource = "cookie"
	HashPath   HashSource = "path"  // without the query
	HashQuery  HashSource = "query" // one parameter, or all if HashKey has no name
)

// Outlier says when a backend is ejected for how it answers requests (passive
// health): nothing new is sent to it for a while. Zero values mean what the
// comments say.
type Outlier struct {
	Failures uint32        `json:"failures"`  // so many in a row eject; 0: none do
	Rate     uint32        `json:"rate"`      // percent of a window's requests that eject if they fail; 0: none do
	Requests uint32        `json:"requests"`  // that a window must have for Rate to count
	Window   time.Duration `json:"window"`    // of Rate
	Base     time.Duration `json:"base"`      // how long the first ejection lasts, the second twice as long, and so on
	Max      time.Duration `json:"max"`       // the longest ejection
	MaxShare uint32        `json:"max_share"` // percent of the eligible backends that may be ejected at once, rounded down; one always stays
}

// RetryBudget limits retries to a share of the requests and a number per second.
type RetryBudget struct {
	Percent   uint32 `json:"percent"`    // retries per 100 requests
	PerSecond uint32 `json:"per_second"` // and so many more each second
}
