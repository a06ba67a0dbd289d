package loop

// Handler hears of a connection. All calls come on the loop's goroutine, none of
// them from within a method of Conn, except for Detach, which says so. All
// methods of Conn may be called in all of them.
type Handler interface {
	// Connected: what Connect began has succeeded.
	Connected(c *Conn)
	// Data: b has arrived. It is valid until Data returns.
	Data(c *Conn, b []byte)
	// EOF: the peer will send no more. It may still read.
	EOF(c *Conn)
	// Drained: the kernel has taken everything, after Pending was above 0.
	Drained(c *Conn)
	// Expired: the deadline has passed; it is cleared.
	Expired(c *Conn)
	// Closed: the connection failed with err, an errno, and is closed. What had
	// arrived before came as Data, unless a write failed while c was paused. It
	// is the last call, and does not come after Close and its like. After EOF a
	// reset need not be noticed before the next write.
	Closed(c *Conn, err error)
}

// lingering is the handler of a connection that is to be closed when the kernel
// has taken what was written. Its user hears no more of it.
type lingering struct{}

func (lingering) Connected(*Conn)     {}
func (lingering) Data(*Conn, []byte)  {}
func (lingering) EOF(*Conn)           {}
func (lingering) Drained(*Conn)       {}
func (lingering) Expired(c *Conn)     { c.Close() }
func (lingering) Closed(*Conn, error) {}
