package loop

// busy says which operations of a connection the kernel has in hand. Until all
// have completed the connection's slot, which is what completions name, is not
// used again.
type busy uint8

const (
	receiving busy = 1 << iota
	sending
	polling // for POLLOUT
	dialing
	dropping // the receive is being cancelled
	watching // the receive in hand is a poll: bytes are read directly
)

const inFlight = receiving | sending | polling | dialing

// overdue reports whether the kernel has a send in hand for longer than it takes
// when it can be done at once.
func (c *Conn) overdue() bool {
	return c.busy&sending != 0 && int32(uint32(c.l.sys.stats.Iterations)-c.due) > 0
}
