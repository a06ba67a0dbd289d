package loop

// Stats are counters of the loop's life. The loop's goroutine writes them without
// a lock.
type Stats struct {
	Iterations  uint64
	Syscalls    uint64 // all that the loop made
	Waits       uint64 // of them, those that were allowed to sleep
	Events      uint64 // that the kernel reported
	Accepted    uint64
	AcceptStops uint64 // times that accepting paused for want of descriptors
	Conns       int    // open now
	Read        uint64 // bytes
	Written     uint64 // bytes
}

// Stats returns the counters. It must be called on the loop, or while it does
// not run.
func (l *Loop) Stats() Stats { return l.sys.stats }
