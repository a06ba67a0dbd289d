package loop

// Detach is the one call that cannot wait for completions of its connection. It
// reads them where they stand, before their turn.

// placed marks user data that says where the completion's bytes are: places must
// be worked out in the order of the completions.
const placed = 1 << 63

// placeOf returns what withdraw has worked out.
func placeOf(e *cqe) (at uint32, ok bool) {
	return uint32(e.data >> 32 &^ (placed >> 32)), e.data&placed != 0
}

func (u *uring) withdraw(c *Conn) {
	for c.in.n > 0 && c.flags&closed == 0 {
		b := u.l.blocks.pop(&c.in)
		c.h.Data(c, b.b[b.r:b.w])
		u.l.blocks.put(b)
	}
	u.cancel(c)
	from := u.ring.head
	for {
		from = u.advance(c, from)
		if c.busy&inFlight == 0 || c.flags&closed != 0 {
			return
		}
		u.ring.free()
		u.submit()
	}
}

// advance handles c's completions from one on, and returns how far it got.
func (u *uring) advance(c *Conn, from uint32) uint32 {
	to := u.ring.head + u.ring.ready()
	for ; from != to; from++ {
		e := u.ring.at(from)
		slot, t := uint32(e.data)&(1<<slotBits-1), token(uint32(e.data)>>slotBits)
		if t == tokenReceive && e.flags&cqeBuffer != 0 && e.data&placed == 0 {
			e.data |= placed | uint64(u.buffers.place(e))<<32
		}
		if slot != c.slot || c.flags&closed != 0 {
			continue
		}
		switch t {
		case tokenReceive:
			u.takeBack(c, e)
		case tokenSend:
			c.busy &^= sending
			u.l.blocks.consume(&c.out, int(max(e.res, 0)))
		case tokenPoll:
			c.busy &^= polling
		default:
			continue
		}
		e.data = tokenNone.of(0)
	}
	return to
}

// takeBack hands out what had been received before the receive was cancelled.
func (u *uring) takeBack(c *Conn, e *cqe) {
	if e.flags&cqeMore == 0 {
		c.busy &^= receiving | dropping | watching
	}
	if e.flags&cqeBuffer == 0 {
		return
	}
	at, _ := placeOf(e)
	if e.res > 0 {
		c.h.Data(c, u.buffers.mem[at:at+uint32(e.res)])
	}
	u.buffers.give(e)
}
