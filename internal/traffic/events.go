package traffic

import "lbctl/internal/loop"

// What a worker hears of its connection, as a loop.Handler.

func (w *worker) Connected(*loop.Conn) {
	if w.measured {
		w.loop.connections++
	}
	w.send()
}

func (w *worker) Data(_ *loop.Conn, b []byte) {
	switch w.state {
	case idle: // nobody asked
		w.broken(ErrProtocol)
	case receiving:
		if w.measured {
			w.loop.bytesIn += uint64(len(b))
		}
		rest, whole, err := w.reply.read(b, &w.loop.head)
		switch {
		case err != nil || len(rest) > 0:
			w.fail(ErrProtocol)
		case whole:
			w.answered()
		}
	}
}

func (w *worker) EOF(*loop.Conn) {
	switch w.state {
	case idle:
		w.broken(ErrClosed)
	case receiving:
		if !w.reply.end() {
			w.fail(ErrClosed)
			return
		}
		w.answered()
		w.part()
	case parting:
		w.part()
	}
}

func (w *worker) Drained(*loop.Conn) {}

func (w *worker) Expired(*loop.Conn) {
	switch w.state {
	case connecting:
		w.fail(ErrConnectTimeout)
	case receiving:
		w.fail(ErrTimeout)
	case parting:
		w.part()
	}
}

func (w *worker) Closed(_ *loop.Conn, err error) {
	switch w.state {
	case idle:
		w.broken(errorKind(err, false))
	case parting:
		w.part()
	default:
		w.fail(errorKind(err, w.state == connecting))
	}
}

// broken: the connection is of no use any more, which the next request will find
// out, as that of a client would that writes without looking.
func (w *worker) broken(kind string) {
	w.disconnect()
	w.gone = kind
}
