package proxy

// Activity is what a client's connection is about.
type Activity uint8

// The activities.
const (
	Idle       Activity = iota // between requests
	Reading                    // a request
	Connecting                 // to a backend
	Sending                    // an answer, or waiting for the backend's
	Closing                    // the last answer is given
)

// Speaker is the connection that alone is to say something next: the backend's when an
// answer is due, the client's between requests and in a head. Nil: there is none, or both
// may.
func (c *ClientConn) Speaker() Conn {
	switch c.phase {
	case clientIdle, clientSends, clientDiscards:
		return c.conn
	case clientWaits:
		if x := c.x; x != nil && x.backend != nil && (x.stage == stageWaits || x.stage == stageRelays) {
			return x.backend.conn
		}
	}
	return nil
}

// Activity says what the connection is about now.
func (c *ClientConn) Activity() Activity {
	switch c.phase {
	case clientIdle:
		return Idle
	case clientSends:
		return Reading
	case clientDiscards, clientClosed:
		return Closing
	}
	switch c.x.stage {
	case stageRequest:
		return Reading
	case stageConnects:
		return Connecting
	}
	return Sending
}
