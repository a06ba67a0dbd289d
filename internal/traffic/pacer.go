package traffic

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lateness is what an open loop tolerates before it says that a request left
// late or waited for a connection.
const lateness = time.Millisecond

// arrival is one request of the schedule.
type arrival struct {
	due    time.Duration // when it should leave
	handed time.Duration // when the pacer put it into the queue
}

// pacer hands out the requests of an open loop when they are due: request i at
// i/Rate, whatever became of the earlier ones. Spacing is constant, so that
// every arm of a comparison meets the same arrivals. The queue holds a second's
// worth (at least one per connection); what finds it full is dropped and counted.
//
// It sleeps on a timerfd because a Go timer may fire up to 1 ms late when the
// process is idle: the runtime waits in epoll_wait, in whole milliseconds.
type pacer struct {
	g     *generator
	queue chan arrival
	fd    int
	timer *os.File

	due, late, dropped uint64
	maxLate            time.Duration
}

func newPacer(g *generator) (*pacer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create timer: %w", err)
	}
	size := min(max(g.load.Connections, int(g.load.Rate)), 1<<20)
	return &pacer{g: g, queue: make(chan arrival, size), fd: fd, timer: os.NewFile(uintptr(fd), "timerfd")}, nil
}

func (p *pacer) close() { p.timer.Close() }

// interrupt ends a sleep.
func (p *pacer) interrupt() { _ = p.timer.SetReadDeadline(time.Unix(1, 0)) }

func (p *pacer) run() {
	defer close(p.queue)
	for i := 0; ; i++ {
		due := time.Duration(float64(i) * float64(time.Second) / p.g.load.Rate)
		if !p.sleepUntil(due) || p.g.load.over(due) {
			return
		}
		measured := p.g.load.measured(due)
		if measured && !p.g.take() {
			return
		}
		p.hand(due, measured)
	}
}

func (p *pacer) hand(due time.Duration, measured bool) {
	a := arrival{due: due, handed: p.g.now()}
	if measured {
		p.due++
		if by := a.handed - due; by > lateness {
			p.late++
			p.maxLate = max(p.maxLate, by)
		}
	}
	select {
	case p.queue <- a:
	default:
		if measured {
			p.dropped++
			p.g.failed()
		}
	}
}

// sleepUntil reports whether the run goes on.
func (p *pacer) sleepUntil(due time.Duration) bool {
	for {
		wait := due - p.g.now()
		if p.g.stopped.Load() {
			return false
		}
		if wait <= 0 {
			return true
		}
		spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(wait))}
		if unix.TimerfdSettime(p.fd, 0, &spec, nil) != nil {
			return false
		}
		var expirations [8]byte
		if _, err := p.timer.Read(expirations[:]); err != nil {
			return false
		}
	}
}
