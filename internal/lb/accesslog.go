package lb

// AccessLog says what an L7 service writes down of its requests.
type AccessLog struct {
	Path   string    `json:"path"` // a file's; in a lab one without a slash is in the lab's log folder; empty: no log
	Format LogFormat `json:"format,omitempty"`
	Sample uint32    `json:"sample,omitempty"` // one request of so many is logged; 0 and 1: each
}

// LogFormat is how a line of an access log looks; docs/l7-logs.md shows each.
type LogFormat string

// The formats.
const (
	LogCommon   LogFormat = "common"   // Apache's
	LogCombined LogFormat = "combined" // nginx's
	LogJSON     LogFormat = "json"     // an object per line
	LogTimings  LogFormat = "timings"  // combined, and who answered and what took how long
)
