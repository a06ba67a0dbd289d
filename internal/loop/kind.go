package loop

// Kind is the kernel interface that a loop uses.
type Kind uint8

// The kinds. Auto is what Probe recommends.
const (
	Auto Kind = iota
	Epoll
	URing
)

func (k Kind) String() string {
	switch k {
	case Auto:
		return "auto"
	case Epoll:
		return "epoll"
	case URing:
		return "io_uring"
	}
	return "unknown"
}

// Probe returns what Auto takes on this machine, and why in a sentence.
func Probe() (Kind, string) {
	return Epoll, "epoll: io_uring is not built in yet"
}
