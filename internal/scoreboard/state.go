package scoreboard

// State is what a worker does, by Apache's letter.
type State byte

// The states of a worker. Apache's D is a DNS look-up; here it is the other wait
// before a request can be sent on, that for a connection to a backend. Its L, that a
// worker writes its log, is missing: no worker waits for one.
const (
	Vacant     State = '.' // no worker
	Waiting    State = '_' // for a connection
	Starting   State = 'S'
	Reading    State = 'R' // a request
	Sending    State = 'W' // a reply
	KeepAlive  State = 'K' // waiting for the next request of a connection
	Connecting State = 'D' // to a backend
	Closing    State = 'C' // a connection
	Finishing  State = 'G' // what is begun, and then it ends
	Cleaning   State = 'I' // an idle worker that is one too many
)

// Busy reports whether Apache counts the worker among those that process a
// request.
func (s State) Busy() bool {
	switch s {
	case Vacant, Waiting, Starting, Cleaning:
		return false
	}
	return true
}

var stateWords = map[State]string{
	Vacant: "vacant", Waiting: "waiting", Starting: "starting", Reading: "reading", Sending: "sending", KeepAlive: "keepalive",
	Connecting: "connecting", Closing: "closing", Finishing: "finishing", Cleaning: "cleaning",
}

func (s State) String() string { return stateWords[s] }
